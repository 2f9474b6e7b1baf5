/**
 * The stubs are proved by somebody else's client: arctic has a class for each of these providers, with the addresses
 * and parameters that it is used with at the real ones. It has none for a GitHub App (its class for GitHub refreshes,
 * too) and none for personal accounts of Microsoft (a tenant of its class for Entra ID).
 */
import * as arctic from 'arctic'
import t, { type Test } from 'tap'
import { PRESET_NAMES, type PresetName } from '../../../plugin/options/provider/presets/presets.ts'
import { KEY_ID, p8, TEAM_ID } from '../../support/providers/apple.ts'
import { authorizationResponse } from '../../support/providers/authorization-response.ts'
import { PERSONAL } from '../../support/providers/microsoft.ts'
import { CLIENT_ID, CLIENT_SECRET, startStub } from '../../support/providers/stub.ts'
import { FACTS } from '../../support/providers/stubs.ts'

const REDIRECT_URI = 'https://app.example.com/callback'
const OURS = [CLIENT_ID, CLIENT_SECRET, REDIRECT_URI] as const
const OPENID = ['openid', 'profile', 'email']
const OFFLINE = [...OPENID, 'offline_access']

/** arctic's classes differ by what they take; a verifier that is null is not sent. */
interface Client {
  begin(state: string, verifier: string): URL
  redeem(code: string, verifier: string): Promise<arctic.OAuth2Tokens>
  refresh?(token: string): Promise<arctic.OAuth2Tokens>
  revoke?(token: string): Promise<void>
}

/** Those that send a challenge. */
function withChallenge(
  client: {
    createAuthorizationURL(state: string, verifier: string, scopes: string[]): URL
    validateAuthorizationCode(code: string, verifier: string): Promise<arctic.OAuth2Tokens>
    refreshAccessToken?(token: string, scopes: string[]): Promise<arctic.OAuth2Tokens>
    revokeToken?(token: string): Promise<void>
  },
  scopes: string[],
): Client {
  return {
    begin: (state, verifier) => client.createAuthorizationURL(state, verifier, scopes),
    redeem: (code, verifier) => client.validateAuthorizationCode(code, verifier),
    ...(client.refreshAccessToken && { refresh: (token) => client.refreshAccessToken!(token, []) }),
    ...(client.revokeToken && { revoke: (token) => client.revokeToken!(token) }),
  }
}

function withoutChallenge(
  client: {
    createAuthorizationURL(state: string, scopes: string[]): URL
    validateAuthorizationCode(code: string): Promise<arctic.OAuth2Tokens>
    refreshAccessToken?(token: string): Promise<arctic.OAuth2Tokens>
    revokeToken?(token: string): Promise<void>
  },
  scopes: string[],
): Client {
  return {
    begin: (state) => client.createAuthorizationURL(state, scopes),
    redeem: (code) => client.validateAuthorizationCode(code),
    ...(client.refreshAccessToken && { refresh: (token) => client.refreshAccessToken!(token) }),
    ...(client.revokeToken && { revoke: (token) => client.revokeToken!(token) }),
  }
}

function apple(): Client {
  const key = Buffer.from(p8.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  const client = withoutChallenge(new arctic.Apple(CLIENT_ID, TEAM_ID, KEY_ID, key, REDIRECT_URI), [
    'name',
    'email',
  ])
  return {
    ...client,
    begin: (...args) => withParameters(client.begin(...args), { response_mode: 'form_post' }),
  }
}

function google(): Client {
  const client = withChallenge(new arctic.Google(...OURS), OPENID)
  return { ...client, begin: (...args) => withParameters(client.begin(...args), { access_type: 'offline' }) }
}

function withParameters(url: URL, parameters: Record<string, string>): URL {
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url
}

/** Its refreshes need what LinkedIn gives to partners alone. */
function linkedin(): Client {
  const { refresh: _refresh, ...client } = withoutChallenge(new arctic.LinkedIn(...OURS), OPENID)
  return client
}

function githubOAuthApp(): Client {
  const { refresh: _refresh, ...client } = withoutChallenge(new arctic.GitHub(...OURS), ['read:user'])
  return client
}

const CLIENTS: Readonly<Record<PresetName, () => Client>> = {
  google,
  apple,
  entra: () => withChallenge(new arctic.MicrosoftEntraId('organizations', ...OURS), OFFLINE),
  'microsoft-personal': () => withChallenge(new arctic.MicrosoftEntraId(PERSONAL, ...OURS), OFFLINE),
  auth0: () => withChallenge(new arctic.Auth0('example.eu.auth0.com', ...OURS), OFFLINE),
  okta: () => withChallenge(new arctic.Okta('example.okta.com', 'default', ...OURS), OFFLINE),
  keycloak: () =>
    withChallenge(new arctic.KeyCloak('https://login.example.com/realms/shop', ...OURS), OPENID),
  cognito: () =>
    withChallenge(new arctic.AmazonCognito('example.auth.eu-central-1.amazoncognito.com', ...OURS), OPENID),
  github: githubOAuthApp,
  'github-app': () => withoutChallenge(new arctic.GitHub(...OURS), []),
  gitlab: () => withoutChallenge(new arctic.GitLab('https://gitlab.com', ...OURS), OPENID),
  facebook: () => withoutChallenge(new arctic.Facebook(...OURS), ['public_profile', 'email']),
  linkedin,
  slack: () => withoutChallenge(new arctic.Slack(...OURS), OPENID),
  discord: () => withChallenge(new arctic.Discord(...OURS), ['identify']),
}

/** An error under status 200, as Slack's, shows when the token is missed. */
async function accessToken(tokens: Promise<arctic.OAuth2Tokens>): Promise<string> {
  return (await tokens).accessToken()
}

async function start(t: Test, preset: PresetName) {
  const stub = await startStub(t, FACTS[preset])
  stub.redirectUri = REDIRECT_URI
  const client = CLIENTS[preset]()
  const state = arctic.generateState()
  const verifier = arctic.generateCodeVerifier()
  const login = async () => {
    const parameters = await authorizationResponse(client.begin(state, verifier))
    t.equal(parameters.get('state'), state)
    return parameters.get('code')!
  }
  return { stub, client, verifier, login }
}

for (const preset of PRESET_NAMES) {
  const facts = FACTS[preset]

  t.test(`${preset}: arctic logs in at the stub, and goes on (M-01)`, async (t) => {
    const { stub, client, verifier, login } = await start(t, preset)
    const code = await login()
    const tokens = await client.redeem(code, verifier)
    t.ok(stub.isAlive(tokens.accessToken()))
    if (facts.issuer) t.match(arctic.decodeIdToken(tokens.idToken()), { iss: facts.issuer, sub: 'alice' })
    t.equal(tokens.hasRefreshToken(), facts.refresh !== undefined)
    await t.rejects(accessToken(client.redeem(code, verifier)), 'a code is good once')
    if (!client.refresh) return
    const refreshed = await client.refresh(tokens.refreshToken())
    t.ok(stub.isAlive(refreshed.accessToken()))
    if (!client.revoke) return
    await client.revoke(tokens.refreshToken())
    await t.rejects(client.refresh(tokens.refreshToken()), 'it has been revoked')
  })

  t.test(`${preset}: arctic is refused what the real one refuses (M-01)`, async (t) => {
    const { stub, client, verifier, login } = await start(t, preset)
    await t.rejects(accessToken(client.redeem('no-code', verifier)))
    const isBound = client.begin('state', verifier).searchParams.has('code_challenge')
    if (isBound)
      await t.rejects(accessToken(client.redeem(await login(), `${verifier}x`)), 'another verifier')
    const code = await login()
    stub.redirectUri = 'https://app.example.com/other'
    await t.rejects(accessToken(client.redeem(code, verifier)), 'another redirect URI')
    if (facts.unregistered === undefined) await t.rejects(login(), /^400 /, 'an unregistered redirect URI')
    stub.redirectUri = REDIRECT_URI
    stub.consents = false
    const refused = await authorizationResponse(client.begin('state', verifier))
    if (facts.cancel) t.equal(refused.get('error'), facts.cancel.error)
  })
}
