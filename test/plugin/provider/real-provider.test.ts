import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { exportJWK, generateKeyPair } from 'jose'
import Oidc from 'oidc-provider'
import t from 'tap'
import { createProvider } from '../../../plugin/provider/client.ts'
import { serve } from '../../support/provider-server.ts'
import { providerOptions, recordingLog } from '../../support/provider-setup.ts'

t.test(
  'a real provider: discovery, PAR, login, exchange, refresh, userinfo, revocation (F-01, A-25, F-14)',
  async (t) => {
    const { privateKey } = await generateKeyPair('RS256', { extractable: true })
    const key = { ...(await exportJWK(privateKey)), alg: 'RS256', kid: 'k1' }
    const callbackUrl = 'http://127.0.0.1:3000/oauth2/callback'
    let handle: RequestListener = () => {}
    const { origin } = await serve(t, (request, response) => handle(request, response))
    const oidc = new Oidc(origin, {
      jwks: { keys: [key] },
      cookies: { keys: ['test'] },
      clients: [
        {
          client_id: 'backend',
          client_secret: 'secret',
          redirect_uris: [callbackUrl],
          grant_types: ['authorization_code', 'refresh_token'],
        },
      ],
      features: {
        devInteractions: { enabled: false },
        pushedAuthorizationRequests: { enabled: true },
        revocation: { enabled: true },
      },
      interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
      issueRefreshToken: async () => true,
      findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    })
    // Alice signs in and consents without being asked.
    const interact = async (request: IncomingMessage, response: ServerResponse) => {
      const { prompt, params } = await oidc.interactionDetails(request, response)
      if (prompt.name === 'login') {
        await oidc.interactionFinished(request, response, { login: { accountId: 'alice' } })
        return
      }
      const grant = new oidc.Grant({ accountId: 'alice', clientId: 'backend' })
      grant.addOIDCScope(String(params.scope))
      await oidc.interactionFinished(request, response, { consent: { grantId: await grant.save() } })
    }
    const protocol = oidc.callback()
    handle = (request, response) =>
      void (request.url!.startsWith('/interaction/') ? interact : protocol)(request, response)

    const { log, lines } = recordingLog()
    const provider = createProvider({
      provider: {
        ...providerOptions,
        issuer: origin,
        clientAuthentication: 'client_secret_basic',
      },
      callbackUrl,
      log,
      environment: {},
    })
    t.teardown(() => provider.close())
    await provider.start()
    t.equal(provider.ready, true)
    t.equal(provider.issRequired, true)

    const codeVerifier = randomBytes(32).toString('base64url')
    const url = await provider.authorizationUrl({
      state: 'pks_1',
      nonce: 'n1',
      codeChallenge: createHash('sha256').update(codeVerifier).digest('base64url'),
      extraScope: [],
      passThrough: {},
      prompt: true,
    })
    t.same([...new URL(url).searchParams.keys()], ['client_id', 'request_uri'])

    const callback = await browse(url, callbackUrl)
    t.equal(callback.searchParams.get('iss'), origin)
    const tokens = await provider.redeemCode({
      code: callback.searchParams.get('code')!,
      codeVerifier,
      nonce: 'n1',
    })
    t.match(tokens, { tokenType: 'Bearer', claims: { sub: 'alice', iss: origin, aud: 'backend' } })
    t.same(await provider.userinfo(tokens.accessToken, 'alice'), { sub: 'alice' })

    const { refreshToken, ...refreshed } = await provider.refresh({
      refreshToken: tokens.refreshToken!,
      subject: 'alice',
    })
    if (refreshed.tokens instanceof Error) throw refreshed.tokens
    const { accessToken } = refreshed.tokens
    t.not(accessToken, tokens.accessToken)
    t.match(await provider.refreshedClaims(refreshed.idToken!, accessToken), { sub: 'alice', aud: 'backend' })
    provider.revoke({ accessToken, refreshToken: refreshToken ?? tokens.refreshToken })
    await provider.close()
    t.same(
      lines.filter(({ level }) => level !== 'info'),
      [],
    )
  },
)

/** Follows redirects as a browser would, cookies included, until one leads to `target`. */
async function browse(start: string, target: string): Promise<URL> {
  const cookies = new Map<string, string>()
  let url = new URL(start)
  for (let step = 0; step < 10; step += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { redirect: 'manual', headers: { cookie } })
    await response.body?.cancel()
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
      if (value === '') cookies.delete(name!)
      else cookies.set(name!, value!)
    }
    url = new URL(response.headers.get('location') ?? '', url)
    if (url.href.startsWith(target)) return url
  }
  throw new Error('the login does not come to an end')
}
