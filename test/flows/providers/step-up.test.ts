/** Step-up through the gateway, at a real provider that knows `acr_values` and `max_age` (RFC 9470, requirement S-04). */
import * as oidc from 'openid-client'
import t, { type Test } from 'tap'
import { startGatewayStack } from '../../support/gateway-stack.ts'

const MFA = 'urn:example:mfa'

/** @param obeys false: the provider knows the value, and signs in with a password all the same. */
async function setUp(t: Test, obeys = true) {
  const stack = await startGatewayStack(
    t,
    (config) => {
      const [api] = config.upstreams!
      return {
        ...config,
        clients: [{ ...config.clients[0]!, passThrough: ['acr_values', 'max_age', 'prompt'] }],
        upstreams: [
          api!,
          { ...api!, prefix: '/transfers', acr: [MFA] },
          { ...api!, prefix: '/account', maxAgeSeconds: 60 },
        ],
      }
    },
    {
      provider: {
        configuration: {
          acrValues: [MFA],
          async findAccount({ oidc: { params, session } }, sub) {
            // In the place of a second factor: who is asked for it has it.
            if (obeys && session && params?.acr_values === MFA) session.acr = MFA
            return { accountId: sub, claims: async () => ({ sub, email: 'alice@example.com' }) }
          },
        },
      },
    },
  )
  const { clientId, redirectUris } = {
    clientId: 'com.example.app',
    redirectUris: ['com.example.app:/callback'],
  }
  const config = await oidc.discovery(new URL(stack.publicUrl), clientId, undefined, oidc.None(), {
    execute: [oidc.allowInsecureRequests],
  })
  return {
    stack,
    async login(asked: Record<string, string> = {}) {
      const codeVerifier = oidc.randomPKCECodeVerifier()
      const url = oidc.buildAuthorizationUrl(config, {
        redirect_uri: redirectUris[0]!,
        code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: 'S256',
        ...asked,
      })
      const callback = await stack.signIn(url)
      return oidc.authorizationCodeGrant(config, callback, { pkceCodeVerifier: codeVerifier })
    },
    get: (path: string, { access_token }: { access_token: string }) =>
      fetch(`${stack.publicUrl}${path}`, { headers: { authorization: `Bearer ${access_token}` } }),
  }
}

/** What the challenge asks for, as an app reads it (RFC 9470 §3). */
function askedBy(response: Response): Record<string, string> {
  const challenge = response.headers.get('www-authenticate') ?? ''
  const found = [...challenge.matchAll(/(acr_values|max_age)="([^"]*)"/g)]
  return Object.fromEntries(found.map(([, name, value]) => [name!, value!]))
}

t.test('401 with the challenge, the login that it asks for, and 200 (RFC 9470 §3, §4, S-04)', async (t) => {
  const { stack, login, get } = await setUp(t)
  const weak = await login()
  t.equal((await get('/api/orders', weak)).status, 200)
  for (const path of ['/transfers/new', '/account/close']) {
    const { requests } = stack.api
    const refused = await get(path, weak)
    t.equal(refused.status, 401, path)
    t.match(refused.headers.get('www-authenticate'), /^Bearer .*error="insufficient_user_authentication"/)
    t.equal(stack.api.requests, requests, 'the upstream was not asked')
    const stronger = await login(askedBy(refused))
    t.equal((await get(path, stronger)).status, 200, path)
    t.equal((await get(path, weak)).status, 401, 'another session is not stronger for it')
  }
})

t.test('a provider that does not do it: no session (RFC 9470 §4, S-04)', async (t) => {
  const { stack, login, get } = await setUp(t, false)
  const asked = askedBy(await get('/transfers/new', await login()))
  t.same(asked, { acr_values: MFA })
  await t.rejects(login(asked))
  t.match(stack.events.at(-1), { event: 'provider.error', reason: 'provider_id_token_invalid' })
})
