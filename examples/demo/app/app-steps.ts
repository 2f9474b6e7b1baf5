import * as oauth from 'openid-client'
import { type CookieJar, login } from '../login.ts'
import { mask } from '../mask.ts'
import type { RedirectReceiver } from './redirect.ts'
import { maskedUrl, type Walk } from './steps.ts'

const clientId = 'com.example.app'
const user = { username: 'alice', password: 'demo' }

/**
 * What a native app does, from the issuer alone to signing out, and what a thief cannot do.
 *
 * @throws Error at the first step that is not as expected.
 */
export async function walkThrough(walk: Walk, issuer: string, receiver: RedirectReceiver): Promise<void> {
  const api = `${issuer}/api/orders?limit=1`
  const app = await discover(walk, issuer)
  await knockWithoutToken(walk, api)
  const browser: CookieJar = new Map()
  const tokens = await signIn(walk, app, receiver, browser)
  await callApi(walk, api, tokens.access_token)
  await askWhoSignedIn(walk, app, tokens.access_token)
  const refreshed = await refresh(walk, app, tokens)
  await callApi(walk, api, refreshed.access_token)
  await revoke(walk, app, refreshed.refresh_token)
  await findEverythingClosed(walk, app, api, refreshed)
  await tryStolenCode(walk, app, receiver, browser)
}

async function discover(walk: Walk, issuer: string): Promise<oauth.Configuration> {
  walk.step('Discover the endpoints, from the issuer alone')
  const app = await oauth.discovery(new URL(issuer), clientId, undefined, oauth.None(), {
    // The demo is http on loopback; a real issuer is https.
    execute: [oauth.allowInsecureRequests],
    [oauth.customFetch]: walk.fetch,
  })
  const metadata = app.serverMetadata()
  walk.check('the metadata is of this issuer', metadata.issuer === issuer)
  walk.check('S256 code challenges', metadata.code_challenge_methods_supported?.includes('S256') === true)
  walk.check('answers name their issuer', metadata.authorization_response_iss_parameter_supported === true)
  return app
}

async function knockWithoutToken(walk: Walk, api: string): Promise<void> {
  walk.step('Knock at the API without a token')
  const response = await walk.fetch(api)
  await response.text()
  walk.check('it is refused with a Bearer challenge', isRefusal(response))
}

async function signIn(walk: Walk, app: oauth.Configuration, receiver: RedirectReceiver, browser: CookieJar) {
  const codeVerifier = oauth.randomPKCECodeVerifier()
  const { answer, state } = await authorize(walk, app, receiver, browser, codeVerifier)
  walk.step('Exchange the code, with the verifier')
  const tokens = await oauth.authorizationCodeGrant(app, answer, {
    pkceCodeVerifier: codeVerifier,
    expectedState: state,
  })
  walk.show(tokens)
  walk.check(
    'a bearer token with a limited life',
    tokens.token_type === 'bearer' && Number(tokens.expires_in) > 0,
  )
  walk.check('the scope that was asked for', tokens.scope === 'orders.read')
  const { access_token, refresh_token } = tokens
  if (refresh_token === undefined) throw new Error('not as expected: a refresh token')
  return { access_token, refresh_token }
}

/** From a fresh verifier to the authorization response at the app. */
async function authorize(
  walk: Walk,
  app: oauth.Configuration,
  receiver: RedirectReceiver,
  browser: CookieJar,
  codeVerifier: string,
): Promise<{ answer: URL; state: string }> {
  walk.step('Make a verifier and its challenge, and open the browser')
  const state = oauth.randomState()
  const url = oauth.buildAuthorizationUrl(app, {
    redirect_uri: receiver.redirectUri,
    scope: 'orders.read',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
  })
  walk.show({ code_verifier: codeVerifier })
  walk.note(`→ GET ${url.href}`)

  walk.step(`Sign in as ${user.username} at the provider (the browser's part: its forms are posted)`)
  const { redirectTo } = await login(url.href, { ...user, cookieJar: browser })
  walk.note(`← ${maskedUrl(redirectTo)}`)
  walk.check('it ends at the redirect URI of the app', redirectTo.startsWith(`${receiver.redirectUri}?`))
  const answer = await receiver.receive(redirectTo)
  walk.check('the state is the one sent', answer.searchParams.get('state') === state)
  walk.check('iss is the issuer', answer.searchParams.get('iss') === app.serverMetadata().issuer)
  return { answer, state }
}

async function callApi(walk: Walk, api: string, accessToken: string): Promise<void> {
  walk.step('Call the API')
  const authorization = `Bearer ${accessToken}`
  const response = await walk.fetch(api, { headers: { authorization } })
  walk.check('the call reaches the API', response.status === 200)
  const { method, path, headers } = (await response.json()) as Echo
  walk.show({ 'the API saw': `${method} ${path}`, authorization: headers.authorization })
  walk.show({ 'x-auth-subject': headers['x-auth-subject'] })
  walk.check('who is calling', headers['x-auth-subject'] === user.username)
  walk.check(
    "the provider's token, which this app never sees",
    headers.authorization?.startsWith('Bearer ') === true && headers.authorization !== mask(authorization),
  )
}

/** What the echo API answers, as far as it is used here. */
interface Echo {
  method: string
  path: string
  headers: Record<string, string | undefined>
}

async function askWhoSignedIn(walk: Walk, app: oauth.Configuration, accessToken: string): Promise<void> {
  walk.step('Ask who signed in')
  const claims = await oauth.fetchUserInfo(app, accessToken, user.username)
  walk.show(claims)
  walk.check('the user of the login', claims.sub === user.username)
  walk.check('with the claims this client may see', claims.email !== undefined && claims.name !== undefined)
}

interface Tokens {
  access_token: string
  refresh_token: string
}

async function refresh(walk: Walk, app: oauth.Configuration, before: Tokens): Promise<Tokens> {
  walk.step('Refresh')
  const { access_token, refresh_token, ...others } = await oauth.refreshTokenGrant(app, before.refresh_token)
  walk.show({ access_token, refresh_token, ...others })
  walk.check('a new access token', access_token !== before.access_token)
  if (refresh_token === undefined) throw new Error('not as expected: a refresh token')
  walk.check('a new refresh token: each is used once', refresh_token !== before.refresh_token)
  return { access_token, refresh_token }
}

async function revoke(walk: Walk, app: oauth.Configuration, refreshToken: string): Promise<void> {
  walk.step('Sign out: revoke the refresh token, and all that came with it')
  await oauth.tokenRevocation(app, refreshToken, { token_type_hint: 'refresh_token' })
}

async function findEverythingClosed(
  walk: Walk,
  app: oauth.Configuration,
  api: string,
  tokens: Tokens,
): Promise<void> {
  walk.step('Call the API and refresh with the revoked tokens')
  const response = await walk.fetch(api, { headers: { authorization: `Bearer ${tokens.access_token}` } })
  await response.text()
  walk.check('the API refuses', isRefusal(response))
  const error = await refusalOf(oauth.refreshTokenGrant(app, tokens.refresh_token))
  walk.check('the refresh is refused as invalid_grant', error === 'invalid_grant')
}

async function tryStolenCode(
  walk: Walk,
  app: oauth.Configuration,
  receiver: RedirectReceiver,
  browser: CookieJar,
) {
  const codeVerifier = oauth.randomPKCECodeVerifier()
  const { answer, state } = await authorize(walk, app, receiver, browser, codeVerifier)
  walk.step('Redeem the code as a thief would: without its verifier')
  const theft = { pkceCodeVerifier: oauth.randomPKCECodeVerifier(), expectedState: state }
  const error = await refusalOf(oauth.authorizationCodeGrant(app, answer, theft))
  walk.check('the code is worthless: invalid_grant', error === 'invalid_grant')
  const late = { pkceCodeVerifier: codeVerifier, expectedState: state }
  const errorOfOwner = await refusalOf(oauth.authorizationCodeGrant(app, answer, late))
  walk.check('and burnt: the right verifier comes too late', errorOfOwner === 'invalid_grant')
}

function isRefusal(response: Response): boolean {
  return response.status === 401 && response.headers.get('www-authenticate')?.startsWith('Bearer') === true
}

/** The OAuth error code that a grant was refused with. */
async function refusalOf(grant: Promise<unknown>): Promise<string> {
  try {
    await grant
  } catch (error) {
    if (error instanceof oauth.ResponseBodyError) return error.error
    throw error
  }
  throw new Error('not as expected: the grant should have been refused')
}
