/** Tokens for one upstream, through the whole gateway and a real provider: RFC 8707, requirement N-02. */
import * as oauth from 'oauth4webapi'
import t, { type Test } from 'tap'
import { startGatewayStack } from '../../support/gateway-stack.ts'

const insecure = { [oauth.allowInsecureRequests]: true }

/** A gateway with two APIs behind it, and a client of oauth4webapi's. */
async function setUp(t: Test, forwardAuth = false) {
  const stack = await startGatewayStack(t, (config) => {
    const [api, ...others] = config.upstreams!
    return {
      ...config,
      upstreams: [api!, { ...api!, prefix: '/mcp' }, ...others],
      ...(forwardAuth && { forwardAuth, trustProxy: ['127.0.0.1'] }),
    }
  })
  const { publicUrl } = stack
  const issuer = new URL(publicUrl)
  const server = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' }),
  )
  const client = { client_id: 'com.example.app' }
  const redirectUri = 'http://127.0.0.1:7777/callback'

  async function logIn(...resources: string[]) {
    const verifier = oauth.generateRandomCodeVerifier()
    const url = new URL(server.authorization_endpoint!)
    for (const [name, value] of Object.entries({
      ...client,
      ...{ redirect_uri: redirectUri, response_type: 'code', code_challenge_method: 'S256' },
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    })) {
      url.searchParams.set(name, value)
    }
    for (const one of resources) url.searchParams.append('resource', one)
    const back = await stack.signIn(url)
    const answer = oauth.validateAuthResponse(server, client, back, oauth.skipStateCheck)
    const redeem = (...wanted: string[]) =>
      oauth.authorizationCodeGrantRequest(server, client, oauth.None(), answer, redirectUri, verifier, {
        ...insecure,
        additionalParameters: new URLSearchParams(wanted.map((one): [string, string] => ['resource', one])),
      })
    return { redeem }
  }
  const get = (path: string, { access_token }: { access_token: string }, headers = {}) =>
    fetch(publicUrl + path, { headers: { ...headers, authorization: `Bearer ${access_token}` } })
  return { ...stack, server, client, logIn, get }
}

t.test(
  'a token for one upstream is refused at the other, which hears nothing (RFC 8707 §2, N-02)',
  async (t) => {
    const { api, client, get, logIn, publicUrl, server } = await setUp(t)
    const { redeem } = await logIn(`${publicUrl}/mcp`)
    const wider = await redeem(`${publicUrl}/api`)
    t.same([wider.status, ((await wider.json()) as { error: string }).error], [400, 'invalid_target'])
    const tokens = await oauth.processAuthorizationCodeResponse(
      server,
      client,
      await redeem(`${publicUrl}/mcp`),
    )
    t.equal((await get('/mcp/tools', tokens)).status, 200)
    const before = api.requests
    const refused = await get('/api/orders', tokens)
    t.equal(refused.status, 401)
    const challenge = refused.headers.get('www-authenticate')!
    t.match(challenge, 'error="invalid_token"')
    t.match(challenge, `resource_metadata="${publicUrl}/.well-known/oauth-protected-resource/api"`)
    t.equal(api.requests, before)

    const next = await oauth.processRefreshTokenResponse(
      server,
      client,
      await oauth.refreshTokenGrantRequest(server, client, oauth.None(), tokens.refresh_token!, insecure),
    )
    t.equal((await get('/mcp/tools', next)).status, 200)
    t.equal((await get('/api/orders', next)).status, 401)
  },
)

t.test('a public route is no resource, nor is what is no upstream (RFC 8707 §2, N-02)', async (t) => {
  const { publicUrl, server, client } = await setUp(t)
  for (const resource of [`${publicUrl}/status`, `${publicUrl}/oauth2`, 'https://other.example']) {
    const asked = new URL(server.authorization_endpoint!)
    asked.search = new URLSearchParams({
      ...client,
      ...{
        redirect_uri: 'http://127.0.0.1:7777/callback',
        response_type: 'code',
        code_challenge_method: 'S256',
      },
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      resource,
    }).toString()
    // An app without a domain of its own is led back by a page.
    t.match(await (await fetch(asked)).text(), 'error=invalid_target', resource)
  }
})

t.test('a proxy that asks is told the same (Q-10, N-02)', async (t) => {
  const { client, get, logIn, publicUrl, server } = await setUp(t, true)
  const { redeem } = await logIn(`${publicUrl}/mcp`, `${publicUrl}/mcp`)
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, await redeem())
  const ask = async (uri: string) =>
    (await get('/oauth2/verify', tokens, { 'x-forwarded-uri': uri, 'x-forwarded-method': 'GET' })).status
  t.equal(await ask('/mcp/tools'), 204)
  t.equal(await ask('/api/orders'), 401)
})
