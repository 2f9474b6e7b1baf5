/** DPoP by clients that are not ours: openid-client by the example of docs/dpop.md, and oauth4webapi (O-01 to O-03). */
import * as oauth from 'oauth4webapi'
import * as oidc from 'openid-client'
import t, { type Test } from 'tap'
import { login } from '../../../examples/demo/login.ts'
import { boundApp, newKey } from '../../../examples/dpop-client.ts'
import { startGatewayStack } from '../../support/gateway-stack.ts'

const CLIENT_ID = 'com.example.app'
const REDIRECT_URI = 'com.example.app:/callback'

const refusalOf = (work: Promise<unknown>) => work.catch((error: unknown) => error)

/** @param dpop the app's. */
async function setUp(t: Test, dpop: 'allowed' | 'required') {
  const stack = await startGatewayStack(t, (config) => ({
    ...config,
    clients: [{ ...config.clients[0]!, dpop }],
  }))
  const bare = async (accessToken: string) => {
    const headers = { authorization: `Bearer ${accessToken}` }
    return (await fetch(`${stack.publicUrl}/api/orders`, { headers })).status
  }
  return { stack, bare, url: `${stack.publicUrl}/api/orders` }
}

t.test(
  'the example of docs/dpop.md: an app on openid-client logs in, calls, refreshes (RFC 9449, O-01, O-02)',
  async (t) => {
    const { stack, bare, url } = await setUp(t, 'required')
    const key = await newKey()
    t.equal(key.privateKey.extractable, false)
    const app = await boundApp(stack.publicUrl, CLIENT_ID, key)
    const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
    const expectedState = oidc.randomState()
    const authorizationUrl = oidc.buildAuthorizationUrl(app.config, {
      ...{ redirect_uri: REDIRECT_URI, scope: 'orders.read', state: expectedState },
      code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
      ...{ code_challenge_method: 'S256', dpop_jkt: await app.thumbprint() },
    })
    const redirect = await stack.signIn(authorizationUrl)
    const tokens = await app.redeem(redirect, { pkceCodeVerifier, expectedState })
    t.equal(tokens.token_type, 'dpop')
    for (const page of [1, 2, 3])
      t.equal((await app.call(tokens.access_token, `${url}?page=${page}`)).status, 200)
    t.equal((await app.call(tokens.access_token, url, 'POST')).status, 200)
    t.equal(await bare(tokens.access_token), 401)

    const refreshed = await app.refresh(tokens.refresh_token!)
    t.equal((await app.call(refreshed.access_token, url)).status, 200)
    const thief = await boundApp(stack.publicUrl, CLIENT_ID, await newKey())
    t.match(await refusalOf(thief.refresh(refreshed.refresh_token!)), { error: 'invalid_grant' })
    t.match(await refusalOf(thief.call(refreshed.access_token, url)), { status: 401 })
    t.equal((await app.call(refreshed.access_token, url)).status, 200, 'and the session goes on')
  },
)

t.test('openid-client pushes its request with a proof (RFC 9449 §10.1, O-01)', async (t) => {
  const { stack, url } = await setUp(t, 'allowed')
  const key = await newKey()
  const app = await boundApp(stack.publicUrl, CLIENT_ID, key)
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const authorizationUrl = await oidc.buildAuthorizationUrlWithPAR(
    app.config,
    {
      ...{ redirect_uri: REDIRECT_URI, scope: 'orders.read', code_challenge_method: 'S256' },
      code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    },
    { DPoP: oidc.getDPoPHandle(app.config, key) },
  )
  const person = { username: 'alice', password: 'password', until: REDIRECT_URI }
  const { redirectTo } = await login(authorizationUrl.href, person)
  const tokens = await app.redeem(new URL(redirectTo), { pkceCodeVerifier })
  t.equal((await app.call(tokens.access_token, url)).status, 200)
})

/** Sends it once more where the server asks for a nonce, as oauth4webapi leaves it to the app. */
async function withNonce<T>(request: () => Promise<T>): Promise<T> {
  try {
    return await request()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return request()
  }
}

for (const alg of ['ES256', 'PS256', 'Ed25519']) {
  t.test(
    `oauth4webapi, ${alg}: code, API, userinfo, refresh, each with nonces (RFC 9449, O-01, O-02)`,
    async (t) => {
      const { stack, bare, url } = await setUp(t, 'required')
      const insecure = { [oauth.allowInsecureRequests]: true }
      const issuer = new URL(stack.publicUrl)
      const as = await oauth.processDiscoveryResponse(
        issuer,
        await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' }),
      )
      t.ok(as.dpop_signing_alg_values_supported?.includes(alg))
      const client: oauth.Client = { client_id: CLIENT_ID }
      const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(alg))
      const options = { ...insecure, DPoP }
      const codeVerifier = oauth.generateRandomCodeVerifier()
      const authorize = new URLSearchParams({
        ...{ client_id: CLIENT_ID, redirect_uri: REDIRECT_URI, response_type: 'code', scope: 'orders.read' },
        code_challenge: await oauth.calculatePKCECodeChallenge(codeVerifier),
        ...{ code_challenge_method: 'S256', dpop_jkt: await DPoP.calculateThumbprint() },
      })
      const redirect = await stack.signIn(`${as.authorization_endpoint}?${authorize}`)
      const parameters = oauth.validateAuthResponse(as, client, redirect, oauth.expectNoState)
      const none = oauth.None()
      const tokens = await withNonce(async () =>
        oauth.processAuthorizationCodeResponse(
          as,
          client,
          await oauth.authorizationCodeGrantRequest(
            as,
            client,
            none,
            parameters,
            REDIRECT_URI,
            codeVerifier,
            options,
          ),
        ),
      )
      t.equal(tokens.token_type, 'dpop')
      const call = (accessToken: string) =>
        withNonce(() =>
          oauth.protectedResourceRequest(accessToken, 'GET', new URL(url), new Headers(), null, options),
        )
      t.equal((await call(tokens.access_token)).status, 200)
      const userinfo = await withNonce(async () =>
        oauth.processUserInfoResponse(
          as,
          client,
          'alice',
          await oauth.userInfoRequest(as, client, tokens.access_token, options),
        ),
      )
      t.equal(userinfo.sub, 'alice')
      const refreshed = await withNonce(async () =>
        oauth.processRefreshTokenResponse(
          as,
          client,
          await oauth.refreshTokenGrantRequest(as, client, none, tokens.refresh_token!, options),
        ),
      )
      t.equal((await call(refreshed.access_token)).status, 200)
      t.equal(await bare(refreshed.access_token), 401)
    },
  )
}
