/**
 * Whole logins by clients that are not ours, each given the issuer URL and its registration and nothing else,
 * through the gateway, against a real provider and a real upstream: code, API call, refresh, revocation.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { generateCodeVerifier, OAuth2Client } from '@badgateway/oauth2-client'
import { build } from 'esbuild'
import * as oauth from 'oauth4webapi'
import * as oidc from 'openid-client'
import t, { type Test } from 'tap'
import { login } from '../../../examples/demo/login.ts'
import { type GatewayStack, startGatewayStack } from '../../support/gateway-stack.ts'

const CLIENT_ID = 'com.example.app'
const PRIVATE_USE = 'com.example.app:/callback'
const HTTPS = 'https://app.example.com/callback'

const stack = await startGatewayStack(t as unknown as Test, (config) => ({
  ...config,
  clients: [
    { ...config.clients[0]!, redirectUris: [PRIVATE_USE, 'http://127.0.0.1/callback', HTTPS] },
    {
      ...{ ...config.clients[0]!, clientId: 'pushing', redirectUris: [HTTPS], requirePar: true },
      ...{ authentication: 'client_secret_basic' as const, clientSecret: 'pushing-secret' },
    },
  ],
}))

/** What the API behind the gateway says to a token. */
async function callApi({ publicUrl }: GatewayStack, accessToken: string): Promise<number> {
  const response = await fetch(`${publicUrl}/api/orders`, {
    headers: { authorization: `Bearer ${accessToken}` },
  })
  await response.arrayBuffer()
  return response.status
}

/** A loopback redirect URI on a port that the operating system chose, as a desktop app opens one. */
async function loopbackRedirect(t: Test): Promise<string> {
  const server = createServer((_request, response) => response.end('You may close this window.'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`
}

/** openid-client 6: authorization code, API, refresh, revoke, and the API refusing. */
async function journeyWithOpenidClient(t: Test, redirectUri: string): Promise<void> {
  const config = await oidc.discovery(new URL(stack.publicUrl), CLIENT_ID, undefined, oidc.None(), {
    execute: [oidc.allowInsecureRequests],
  })
  const codeVerifier = oidc.randomPKCECodeVerifier()
  const state = oidc.randomState()
  const authorizationUrl = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: 'openid orders.read',
    state,
    code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
  })
  const callback = await stack.signIn(authorizationUrl)
  const tokens = await oidc.authorizationCodeGrant(config, callback, {
    pkceCodeVerifier: codeVerifier,
    expectedState: state,
  })
  t.equal(tokens.scope, 'orders.read')
  t.equal(tokens.id_token, undefined, 'no id_token: the gateway is no OpenID provider')
  t.equal(await callApi(stack, tokens.access_token), 200)

  const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, 'alice')
  t.equal(userinfo.email, 'alice@example.com')

  const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token!)
  t.not(refreshed.refresh_token, tokens.refresh_token, 'rotated (D-02)')
  t.equal(await callApi(stack, refreshed.access_token), 200)

  await oidc.tokenRevocation(config, refreshed.refresh_token!)
  t.equal(await callApi(stack, refreshed.access_token), 401)
  const refusal = await oidc
    .refreshTokenGrant(config, refreshed.refresh_token!)
    .catch((error: unknown) => error)
  t.match(refusal, { error: 'invalid_grant' })
}

t.test('openid-client, private-use scheme (RFC 8252 §7.1)', (t) => journeyWithOpenidClient(t, PRIVATE_USE))
t.test('openid-client, https redirect (RFC 8252 §7.2)', (t) => journeyWithOpenidClient(t, HTTPS))
t.test('openid-client, loopback redirect on a random port (RFC 8252 §7.3)', async (t) =>
  journeyWithOpenidClient(t, await loopbackRedirect(t)),
)

/** A login whose authorization URL does not tell where it ends. */
async function signInUntil(until: string, authorizationUrl: URL | string): Promise<URL> {
  const alice = { username: 'alice', password: 'password' }
  return new URL((await login(String(authorizationUrl), { ...alice, until })).redirectTo)
}

t.test('openid-client pushes its request: the browser carries a reference (RFC 9126 §4, A-25)', async (t) => {
  const config = await oidc.discovery(new URL(stack.publicUrl), CLIENT_ID, undefined, oidc.None(), {
    execute: [oidc.allowInsecureRequests],
  })
  const codeVerifier = oidc.randomPKCECodeVerifier()
  const expectedState = oidc.randomState()
  const authorizationUrl = await oidc.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: PRIVATE_USE,
    scope: 'orders.read',
    state: expectedState,
    code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
  })
  t.same([...authorizationUrl.searchParams.keys()].sort(), ['client_id', 'request_uri'])
  const callback = await signInUntil(PRIVATE_USE, authorizationUrl)
  const tokens = await oidc.authorizationCodeGrant(config, callback, {
    pkceCodeVerifier: codeVerifier,
    expectedState,
  })
  t.equal(await callApi(stack, tokens.access_token), 200)
  t.equal((await fetch(authorizationUrl, { redirect: 'manual' })).status, 400, 'used')
})

t.test('oauth4webapi pushes as a confidential client that must (RFC 9126 §2, §6, A-25)', async (t) => {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const issuer = new URL(stack.publicUrl)
  const as = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' }),
  )
  const client = { client_id: 'pushing' }
  const authentication = oauth.ClientSecretBasic('pushing-secret')
  const codeVerifier = oauth.generateRandomCodeVerifier()
  const parameters = {
    redirect_uri: HTTPS,
    response_type: 'code',
    scope: 'orders.read',
    code_challenge: await oauth.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
  }
  const { request_uri, expires_in } = await oauth.processPushedAuthorizationResponse(
    as,
    client,
    await oauth.pushedAuthorizationRequest(as, client, authentication, parameters, insecure),
  )
  t.ok(expires_in <= 60)
  const callback = await signInUntil(
    HTTPS,
    `${as.authorization_endpoint}?${new URLSearchParams({ ...client, request_uri })}`,
  )
  const response = await oauth.authorizationCodeGrantRequest(
    as,
    client,
    authentication,
    oauth.validateAuthResponse(as, client, callback, oauth.expectNoState),
    HTTPS,
    codeVerifier,
    insecure,
  )
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, response)
  t.equal(await callApi(stack, tokens.access_token), 200)

  const front = `${as.authorization_endpoint}?${new URLSearchParams({ ...client, ...parameters })}`
  const refused = await fetch(front, { redirect: 'manual' })
  t.match(refused.headers.get('location'), /[?&]error=invalid_request(&|$)/)
})

/** What the tests use of @openid/appauth and its Node support. */
type AppAuth = typeof import('@openid/appauth/built/src/authorization_request.js') &
  typeof import('@openid/appauth/built/src/authorization_service_configuration.js') &
  typeof import('@openid/appauth/built/src/revoke_token_request.js') &
  typeof import('@openid/appauth/built/src/token_request.js') &
  typeof import('@openid/appauth/built/src/token_request_handler.js') &
  typeof import('@openid/appauth/built/src/node_support/node_requestor.js') &
  typeof import('@openid/appauth/built/src/node_support/node_request_handler.js') &
  typeof import('@openid/appauth/built/src/node_support/crypto_utils.js')

/** @openid/appauth cannot be imported by Node as it is published, so it is bundled, as an app does it. */
async function importAppAuth(): Promise<AppAuth> {
  const parts = ['node_requestor', 'node_request_handler', 'crypto_utils']
  const from = parts.map((part) => `@openid/appauth/built/src/node_support/${part}.js`)
  const { outputFiles } = await build({
    stdin: {
      contents: ['@openid/appauth', ...from].map((path) => `export * from '${path}'`).join('\n'),
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
    },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    logLevel: 'silent',
    alias: { opener: fileURLToPath(new URL('../../support/no-opener.js', import.meta.url)) },
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire('/');" },
  })
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0]!.contents).toString('base64')}`)
}

const appAuth = await importAppAuth()

/** AppAuth: knows only openid-configuration, sends a state of 10 characters. */
async function journeyWithAppAuth(t: Test, redirectUri: string): Promise<void> {
  const requestor = new appAuth.NodeRequestor()
  const configuration = await appAuth.AuthorizationServiceConfiguration.fetchFromIssuer(
    stack.publicUrl,
    requestor,
  )
  const request = new appAuth.AuthorizationRequest(
    { client_id: CLIENT_ID, redirect_uri: redirectUri, scope: 'openid orders.read', response_type: 'code' },
    new appAuth.NodeCrypto(),
  )
  await request.setupCodeVerifier()
  const handler = new appAuth.NodeBasedHandler()
  // Protected, because apps leave the URL to a handler that opens a browser.
  const buildRequestUrl = (handler as unknown as { buildRequestUrl(...of: unknown[]): string })
    .buildRequestUrl
  const callback = await stack.signIn(buildRequestUrl.call(handler, configuration, request))
  t.equal(callback.searchParams.get('state'), request.state)

  const tokens = new appAuth.BaseTokenRequestHandler(requestor)
  const own = { client_id: CLIENT_ID, redirect_uri: redirectUri }
  const issued = await tokens.performTokenRequest(
    configuration,
    new appAuth.TokenRequest({
      ...own,
      grant_type: appAuth.GRANT_TYPE_AUTHORIZATION_CODE,
      code: callback.searchParams.get('code')!,
      extras: { code_verifier: request.internal!.code_verifier! },
    }),
  )
  t.equal(await callApi(stack, issued.accessToken), 200)
  const refreshed = await tokens.performTokenRequest(
    configuration,
    new appAuth.TokenRequest({
      ...own,
      grant_type: appAuth.GRANT_TYPE_REFRESH_TOKEN,
      refresh_token: issued.refreshToken!,
    }),
  )
  t.equal(await callApi(stack, refreshed.accessToken), 200)
  const revocation = { token: refreshed.refreshToken!, client_id: CLIENT_ID }
  t.ok(await tokens.performRevokeTokenRequest(configuration, new appAuth.RevokeTokenRequest(revocation)))
  t.equal(await callApi(stack, refreshed.accessToken), 401)
}

t.test('AppAuth, private-use scheme', (t) => journeyWithAppAuth(t, PRIVATE_USE))
t.test('AppAuth, https redirect', (t) => journeyWithAppAuth(t, HTTPS))
t.test('AppAuth, loopback redirect on a random port', async (t) =>
  journeyWithAppAuth(t, await loopbackRedirect(t)),
)

/** @badgateway/oauth2-client: finds everything by RFC 8414 metadata. */
async function journeyWithBadgateway(t: Test, redirectUri: string): Promise<void> {
  const client = new OAuth2Client({
    server: `${stack.publicUrl}/`,
    discoveryEndpoint: '/.well-known/oauth-authorization-server',
    clientId: CLIENT_ID,
  })
  const codeVerifier = await generateCodeVerifier()
  const authorizationUrl = await client.authorizationCode.getAuthorizeUri({
    redirectUri,
    state: 'some+state/=',
    codeVerifier,
    scope: ['orders.read'],
  })
  const callback = await stack.signIn(authorizationUrl)
  const issued = await client.authorizationCode.getTokenFromCodeRedirect(callback, {
    redirectUri,
    state: 'some+state/=',
    codeVerifier,
  })
  t.equal(await callApi(stack, issued.accessToken), 200)
  const refreshed = await client.refreshToken(issued)
  t.equal(await callApi(stack, refreshed.accessToken), 200)
  await client.revoke(refreshed, 'refresh_token')
  t.equal(await callApi(stack, refreshed.accessToken), 401)
  const refusal = await client.refreshToken(refreshed).catch((error: unknown) => error)
  t.match(refusal, { oauth2Code: 'invalid_grant' })
}

t.test('@badgateway/oauth2-client, private-use scheme', (t) => journeyWithBadgateway(t, PRIVATE_USE))
t.test('@badgateway/oauth2-client, https redirect', (t) => journeyWithBadgateway(t, HTTPS))
t.test('@badgateway/oauth2-client, loopback redirect on a random port', async (t) =>
  journeyWithBadgateway(t, await loopbackRedirect(t)),
)

t.test('the API has seen the provider token of each call and never one of ours (H-16)', async (t) => {
  const seen: string[] = []
  const stop = stack.api.onRequest((request) => seen.push(String(request.headers.authorization)))
  t.teardown(stop)
  await journeyWithOpenidClient(t, HTTPS)
  t.equal(seen.length, 2)
  t.notOk(seen.some((value) => /pk[arcs]_/.test(value)))
})
