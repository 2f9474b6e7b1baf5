/**
 * Providers that run in Node and that others have written, each through a whole gateway and from its issuer alone,
 * where it has metadata (M-01). What else it needs stands beside it with the reason.
 */
import t, { type Test } from 'tap'
import type { ProviderConfig } from '../../../gateway/config/schemas/gateway.ts'
import { startBetterAuth } from '../../support/node-providers/better-auth.ts'
import { startNodeOAuth } from '../../support/node-providers/node-oauth.ts'
import { startMockServer } from '../../support/node-providers/oauth2-mock-server.ts'
import { startOidcProvider } from '../../support/node-providers/oidc-provider.ts'
import { startOpenAuth } from '../../support/node-providers/openauth.ts'
import type { NodeProvider } from '../../support/node-providers/serving.ts'
import { freePublicUrl, startGatewayAt } from '../../support/providers/gateway.ts'
import { until } from '../../support/wait.ts'

const DAY_SECONDS = 86_400

interface Facts {
  start(t: Test, redirectUri: string): Promise<NodeProvider>
  /** Besides issuer, clientId and clientSecret. */
  options?(issuer: string): Partial<ProviderConfig>
  /** Who everybody is there. Absent: whoever signs in. */
  readonly everybody?: string
  /** How it names a person, if not by the name that was typed. */
  readonly hasOwnIds?: true
  readonly token: string
  readonly revocation?: string
  /** Where an access token is tried, and refused after its revocation. Absent: it is good whatever happens. */
  readonly userinfo?: string
  readonly checksSecrets?: true
  /** Its refresh tokens can be taken from it. */
  readonly forgets?: true
}

const PROVIDERS = {
  'oidc-provider': {
    start: startOidcProvider,
    // It gives refresh tokens where the user was asked, and does not say so in its metadata.
    options: () => ({ authorizationParams: { prompt: 'consent' } }),
    ...{ token: '/token', revocation: '/token/revocation', userinfo: '/me', checksSecrets: true },
  },
  'better-auth': {
    start: startBetterAuth,
    ...{ hasOwnIds: true, forgets: true },
    ...{ token: '/api/auth/oauth2/token', revocation: '/api/auth/oauth2/revoke', checksSecrets: true },
    userinfo: '/api/auth/oauth2/userinfo',
  },
  'oauth2-mock-server': {
    start: startMockServer,
    everybody: 'johndoe',
    ...{ token: '/token', revocation: '/revoke' },
  },
  'oauth2-server': {
    start: startNodeOAuth,
    options: (issuer) => ({
      // It has no metadata.
      authorizationEndpoint: `${issuer}/authorize`,
      tokenEndpoint: `${issuer}/token`,
      // It has no OpenID: no id_token, so no openid, and the user is asked for at a route of the team's own.
      scope: 'profile',
      userinfoEndpoint: `${issuer}/userinfo`,
      subjectClaim: 'id',
    }),
    ...{ token: '/token', checksSecrets: true, forgets: true },
  },
  openauth: {
    start: startOpenAuth,
    options: (issuer) => ({
      // It has no OpenID, and its metadata no userinfo endpoint: with one of the team's own, all are named.
      scope: 'profile',
      authorizationEndpoint: `${issuer}/authorize`,
      tokenEndpoint: `${issuer}/token`,
      userinfoEndpoint: `${issuer}/userinfo`,
      // It compares client_id in the form alone, and knows no secrets.
      clientAuthentication: 'client_secret_post',
    }),
    ...{ token: '/token', forgets: true },
  },
} as const satisfies Readonly<Record<string, Facts>>

async function setUp(t: Test, { start, options }: Facts, change: Partial<ProviderConfig> = {}) {
  const publicUrl = await freePublicUrl()
  const provider = await start(t, `${publicUrl}/oauth2/callback`)
  const { issuer, clientId, clientSecret, calls } = provider
  const configured = { issuer, clientId, clientSecret, ...options?.(issuer), ...change } as ProviderConfig
  const stack = await startGatewayAt(t, publicUrl, { provider: configured })
  return { ...stack, provider, count: (call: string) => calls.filter((one) => one === call).length }
}

for (const [name, facts] of Object.entries<Facts>(PROVIDERS)) {
  const { token, revocation, userinfo, everybody } = facts

  t.test(`${name}: a person signs in, is the same each time, and no other (M-01, F-17)`, async (t) => {
    const { app, api, subject, provider } = await setUp(t, facts)
    const { access_token } = await app.login()
    const first = await subject(access_token)
    if (everybody || !facts.hasOwnIds) t.equal(first, everybody ?? 'alice')
    const forwarded = await app.call(access_token)
    t.match(forwarded.json.headers, { 'x-auth-issuer': provider.issuer, 'x-auth-subject': first })
    t.equal(api.requests, 2)
    t.equal(await subject((await app.login()).access_token), first)
    const other = await subject((await app.login({}, 'bob')).access_token)
    if (everybody) t.equal(other, first)
    else t.not(other, first)
  })

  t.test(`${name}: the session is renewed there, again and again (M-01, D-11)`, async (t) => {
    const { app, store, subject, count } = await setUp(t, facts)
    let tokens = await app.login()
    const who = await subject(tokens.access_token)
    for (let renewed = 1; renewed <= 3; renewed++) {
      store.advance(DAY_SECONDS)
      t.equal((await app.call(tokens.access_token)).status, 401, 'ours has ended')
      const answer = await app.refresh(tokens.refresh_token)
      t.equal(answer.status, 200, answer.text)
      tokens = answer.json as unknown as typeof tokens
      t.equal(await subject(tokens.access_token), who)
      t.equal(count(`POST ${token}`), 1 + renewed)
    }
  })

  if (facts.forgets) {
    t.test(`${name}: what it refuses to renew is over (M-01, D-10)`, async (t) => {
      const { app, store, provider } = await setUp(t, facts)
      const { refresh_token } = await app.login()
      await provider.forget!()
      store.advance(DAY_SECONDS)
      const answer = await app.refresh(refresh_token)
      t.equal(answer.status, 400, answer.text)
      t.equal(answer.json.error, 'invalid_grant')
    })
  }

  t.test(`${name}: an app that signs out is signed out there, where that can be (M-01, E-04)`, async (t) => {
    const { app, api, count, provider } = await setUp(t, facts)
    const { access_token, refresh_token } = await app.login()
    let theirs = ''
    api.onRequest(({ headers }) => {
      theirs = headers.authorization ?? ''
    })
    await app.call(access_token)
    const authorization = theirs
    const isGood = async () =>
      (await fetch(new URL(userinfo!, provider.issuer), { headers: { authorization } })).ok
    if (userinfo) t.ok(await isGood())
    t.equal((await app.revoke(refresh_token)).status, 200)
    t.equal((await app.refresh(refresh_token)).json.error, 'invalid_grant')
    t.equal((await app.call(access_token)).status, 401)
    if (revocation) await until(() => count(`POST ${revocation}`) > 0)
    if (userinfo) await until(async () => !(await isGood()))
  })
}

for (const [name, facts] of Object.entries<Facts>(PROVIDERS).filter(
  ([, { checksSecrets }]) => checksSecrets,
)) {
  t.test(`${name}: a wrong secret is our fault, and the log says where to look (M-01, C-17)`, async (t) => {
    const { app, log } = await setUp(t, facts, { clientSecret: 'another-secret' })
    await t.rejects(app.login(), /server_error/)
    t.match(log(), /the provider refuses this client: check provider\.clientId, clientSecret/)
    t.notMatch(log(), 'another-secret')
  })
}

t.test(
  'oidc-provider: from its issuer, a person signs in until the access token ends (M-01, D-15)',
  async (t) => {
    const { options: _, ...facts } = PROVIDERS['oidc-provider']
    const { app, subject, log } = await setUp(t, facts)
    t.equal(await subject((await app.login()).access_token), 'alice')
    t.match(log(), 'the provider has given no refresh token, although offline access was asked for')
  },
)

t.test(
  'oauth2-server: its issuer alone does not start, and the message names what to write (F-01)',
  async (t) => {
    const { options: _, ...facts } = PROVIDERS['oauth2-server']
    await t.rejects(
      setUp(t, facts),
      /provider\.issuer: there is no usable metadata .*authorizationEndpoint and tokenEndpoint/,
    )
  },
)

t.test(
  'openauth: from its issuer, sessions are nobody’s, and a login with openid says why (F-14, F-17)',
  async (t) => {
    const { options: _, ...openauth } = PROVIDERS.openauth
    const clientAuthentication = 'client_secret_post'
    const withOpenId = await setUp(t, openauth, { clientAuthentication })
    await t.rejects(withOpenId.app.login(), /server_error/)
    t.match(
      withOpenId.log(),
      'there is none: if the provider has no OpenID Connect, take openid out of provider.scope',
    )

    const { app, subject } = await setUp(t, openauth, { clientAuthentication, scope: 'profile' })
    const [first, second] = [await app.login(), await app.login()]
    t.match(await subject(first.access_token), /^grant:/)
    t.not(await subject(second.access_token), await subject(first.access_token), 'each session is its own')
    t.equal((await app.refresh(first.refresh_token)).status, 200)
  },
)
