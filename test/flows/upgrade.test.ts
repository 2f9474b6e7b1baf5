/**
 * Who upgrades has people in the middle of a login, and phones that hold tokens. What release 0.1.0 left in a real
 * Redis and a real PostgreSQL goes on under this release: the record of version 1, how it lies in keys and rows, and
 * every handle that was out (docs/architecture.md, the stored record).
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Store } from '../../plugin/index.ts'
import { type PluginApp, startPluginApp, type Tokens } from '../support/plugin-app.ts'
import {
  loadPostgres,
  loadRedis,
  type RecordedPostgres,
  type RecordedRedis,
} from '../support/recorded-store.ts'
import { startSharedStore } from '../support/shared-store.ts'
import { type StubProvider, startStubProvider } from '../support/stub-provider.ts'
import { until } from '../support/wait.ts'

t.setTimeout(120_000)

/** Where a grant lies in its store. */
interface RecordedGrant {
  readonly key: string
  readonly version: number
}

/** A login that stood still before the exchange with the provider. */
interface UnderWay extends RecordedGrant {
  /** What the provider had been sent with the authorization request. */
  readonly nonce: string
  readonly providerChallenge: string
}

/** What apps, browsers and the provider held when the earlier release ended. */
interface RecordedHandles {
  readonly authorizing: UnderWay & { readonly state: string; readonly cookie: string }
  readonly authorized: UnderWay & { readonly code: string }
  readonly active: RecordedGrant & {
    readonly subject: string
    readonly scope: string
    readonly claims: Readonly<Record<string, unknown>>
    readonly providerAccessToken: string
    /** From before the rotation, and the tokens since. */
    readonly firstAccessToken: string
    readonly accessToken: string
    readonly refreshToken: string
  }
  /** The answer to this refresh token was lost. */
  readonly retried: RecordedGrant & {
    readonly subject: string
    readonly refreshToken: string
    readonly successor: { readonly accessToken: string; readonly refreshToken: string }
  }
  readonly replayed: RecordedGrant & { readonly usedCode: string; readonly accessToken: string }
  readonly relayed: RecordedGrant & {
    readonly subject: string
    readonly accessToken: string
    readonly refreshToken: string
    readonly providerRefreshToken: string
  }
  readonly ended: RecordedGrant & { readonly accessToken: string; readonly refreshToken: string }
}

interface Recorded {
  readonly options: {
    readonly publicUrl: string
    readonly issuer: string
    readonly serverSecret: string
    readonly redirectUri: string
    readonly refreshGraceSeconds: number
  }
  readonly redis: RecordedRedis & { readonly handles: RecordedHandles }
  readonly postgres: RecordedPostgres & { readonly handles: RecordedHandles }
}

const recorded = JSON.parse(readFileSync(new URL('records-v1.json', import.meta.url), 'utf8')) as Recorded

/** The apps of this release on the store of the earlier one. */
interface Upgraded {
  readonly handles: RecordedHandles
  readonly shiftMs: number
  readonly opaque: PluginApp
  readonly relay: PluginApp
  readonly provider: StubProvider
  readonly store: Store
}

for (const kind of ['redis', 'postgres'] as const) {
  t.test(`an upgrade on ${kind}`, async (t) => {
    const shared = await startSharedStore(t, kind)
    if (typeof shared === 'string') return void t.pass(kind, { skip: shared })
    const shiftMs =
      kind === 'redis'
        ? await loadRedis(shared, recorded.redis)
        : await loadPostgres(shared, recorded.postgres)
    const provider = await startStubProvider()
    t.teardown(() => provider.close())
    const upgraded: Upgraded = {
      handles: recorded[kind].handles,
      shiftMs,
      opaque: await start(t, provider, shared.open(t), 'opaque'),
      relay: await start(t, provider, shared.open(t), 'relay'),
      provider,
      store: shared.open(t),
    }
    for (const [title, run] of Object.entries(tests)) {
      await t.test(title, async (t) => {
        provider.requests.length = 0
        await run(t, upgraded)
      })
    }
  })
}

/** With the options of the earlier release. The provider answers at another address, and by the recorded issuer. */
function start(
  t: Test,
  provider: StubProvider,
  store: Store,
  tokens: 'opaque' | 'relay',
): Promise<PluginApp> {
  const { publicUrl, issuer, serverSecret, redirectUri, refreshGraceSeconds } = recorded.options
  return startPluginApp(
    t,
    {
      publicUrl,
      secrets: [serverSecret],
      tokens,
      store,
      lifetimes: { refreshGraceSeconds },
      clients: [
        {
          clientId: 'app',
          name: 'Example',
          redirectUris: [redirectUri],
          scopes: ['orders.read', 'orders.write'],
          claims: ['email'],
        },
      ],
      provider: {
        issuer,
        scope: 'openid',
        dangerouslyAllowPrivateNetwork: true,
        allowedHosts: [new URL(provider.issuer).host],
        authorizationEndpoint: `${provider.issuer}/authorize`,
        tokenEndpoint: `${provider.issuer}/token`,
        revocationEndpoint: `${provider.issuer}/revoke`,
        jwksUri: `${provider.issuer}/jwks`,
      },
    },
    { provider },
  )
}

/** From now on the provider answers as it would have answered this login. */
function expect(provider: StubProvider, { nonce }: UnderWay, sub: string): void {
  provider.nonce = nonce
  provider.claims = { iss: recorded.options.issuer, sub, email: `${sub}@example.com` }
}

/** The verifier that the provider got is the one whose challenge it was sent by the earlier release. */
function provesChallenge(t: Test, provider: StubProvider, { providerChallenge }: UnderWay): void {
  const { form } = provider.requests.find(({ path }) => path === '/token')!
  t.equal(form.get('code'), 'provider-code')
  const challenge = createHash('sha256').update(form.get('code_verifier')!).digest('base64url')
  t.equal(challenge, providerChallenge, 'RFC 7636 §4.6, at the provider')
}

const tests: Record<string, (t: Test, upgraded: Upgraded) => Promise<void>> = {
  'every record is there, at its version: a swap from an older one loses (G-07, G-15)': async (
    t,
    upgraded,
  ) => {
    const { handles, store } = upgraded
    for (const { key, version } of Object.values(handles) as RecordedGrant[]) {
      t.equal((await store.read(key))?.version, version, key)
      t.equal(await store.replace(key, version - 1, '{}', 60_000), false)
      t.equal((await store.read(key))?.version, version)
    }
  },

  'our code is redeemed by its verifier, and the provider by the sealed one (C-12, A-16)': async (
    t,
    upgraded,
  ) => {
    const { handles, opaque, provider } = upgraded
    expect(provider, handles.authorized, 'frank')
    const answer = await opaque.redeem(handles.authorized.code)
    t.equal(answer.statusCode, 200, answer.body)
    const tokens = answer.json() as Tokens
    t.equal(tokens.scope, 'orders.read')
    provesChallenge(t, provider, handles.authorized)
    t.match((await opaque.call(tokens.access_token)).json(), { subject: 'frank' })
    t.equal((await opaque.redeem(handles.authorized.code)).json().error, 'invalid_grant', 'once')
  },

  'a browser that comes back from the provider gets its code, and the app its tokens (A-18, B-04)': async (
    t,
    upgraded,
  ) => {
    const { handles, opaque, provider } = upgraded
    const { state, cookie } = handles.authorizing
    expect(provider, handles.authorizing, 'grace')
    const url = `/oauth2/callback?${new URLSearchParams({ state, code: 'provider-code' })}`
    const back = await opaque.app.inject({ url, headers: { cookie } })
    t.equal(back.statusCode, 302, back.body)
    const redirect = new URL(String(back.headers.location))
    t.equal(redirect.origin + redirect.pathname, recorded.options.redirectUri)
    t.equal(redirect.searchParams.get('state'), 'app-state')
    t.equal(redirect.searchParams.get('iss'), recorded.options.publicUrl)
    const answer = await opaque.redeem(redirect.searchParams.get('code')!)
    t.equal(answer.statusCode, 200, answer.body)
    const tokens = answer.json() as Tokens
    t.equal(tokens.scope, 'orders.read')
    provesChallenge(t, provider, handles.authorizing)
    t.match((await opaque.call(tokens.access_token)).json(), { subject: 'grace' })
    t.equal((await opaque.app.inject({ url, headers: { cookie } })).statusCode, 400, 'once')
  },

  'live access tokens: same subject, scope, claims and provider token (D-17, E-06)': async (t, upgraded) => {
    const { handles, opaque, shiftMs, store } = upgraded
    const { active } = handles
    for (const token of [active.accessToken, active.firstAccessToken]) {
      const answer = await opaque.call(token)
      t.equal(answer.statusCode, 200, answer.body)
      t.same(answer.json(), {
        subject: active.subject,
        authorization: `Bearer ${active.providerAccessToken}`,
      })
    }
    const headers = { authorization: `Bearer ${active.accessToken}` }
    t.same((await opaque.app.inject({ url: '/oauth2/userinfo', headers })).json(), active.claims)
    const [session] = await opaque.app.pkce.sessionsOf(active.subject)
    t.match(session, { clientId: 'app', subject: active.subject, scope: [active.scope] })
    t.equal(`grant:${session?.grantId}`, active.key)
    t.ok(session!.createdAt > recorded.redis.recordedAt + shiftMs - 60_000, 'its own age')
    t.ok(session!.createdAt < store.now() - 20_000)
  },

  'a refresh rotates without a provider call, and the session is the same (D-03)': async (t, upgraded) => {
    const { handles, opaque, provider, store } = upgraded
    const { active } = handles
    const answer = await opaque.refresh(active.refreshToken)
    t.equal(answer.statusCode, 200, answer.body)
    const tokens = answer.json() as Tokens
    t.equal(tokens.scope, active.scope)
    t.not(tokens.refresh_token, active.refreshToken)
    t.equal(provider.count('/token'), 0)
    t.ok((await store.read(active.key))!.version > active.version)
    t.same((await opaque.call(tokens.access_token)).json(), {
      subject: active.subject,
      authorization: `Bearer ${active.providerAccessToken}`,
    })
    t.equal((await opaque.call(active.accessToken)).statusCode, 200, 'to its own expiry')
    t.equal((await opaque.refresh(tokens.refresh_token)).statusCode, 200, 'and once more')
  },

  'whoever lost the answer to a refresh gets the same successor (D-05)': async (t, upgraded) => {
    const { handles, opaque, provider } = upgraded
    const { retried } = handles
    const answer = await opaque.refresh(retried.refreshToken)
    t.equal(answer.statusCode, 200, answer.body)
    const { accessToken, refreshToken } = retried.successor
    t.match(answer.json(), { access_token: accessToken, refresh_token: refreshToken, scope: 'orders.read' })
    t.match((await opaque.call(accessToken)).json(), { subject: retried.subject })
    t.equal((await opaque.refresh(refreshToken)).statusCode, 200)
    t.equal((await opaque.refresh(retried.refreshToken)).json().error, 'invalid_grant', 'no longer')
    t.equal((await opaque.call(accessToken)).statusCode, 401, 'reuse ends the grant (D-04)')
    await until(() => provider.count('/revoke') === 1)
  },

  'a replay of a used code ends its grant and revokes at the provider (RFC 6749 §4.1.2, C-14)': async (
    t,
    upgraded,
  ) => {
    const { handles, opaque, provider } = upgraded
    const { usedCode, accessToken } = handles.replayed
    t.equal((await opaque.call(accessToken)).statusCode, 200)
    t.equal((await opaque.redeem(usedCode)).json().error, 'invalid_grant')
    t.equal((await opaque.call(accessToken)).statusCode, 401)
    await until(() => provider.count('/revoke') === 1)
    const { form } = provider.requests.find(({ path }) => path === '/revoke')!
    t.match(form.get('token'), /^recorded-provider-refresh-/, 'opened by the code')
  },

  'a relayed token is found, and its refresh uses the sealed provider token (design, Modes; G-04)': async (
    t,
    upgraded,
  ) => {
    const { handles, relay, provider } = upgraded
    const { relayed } = handles
    const call = await relay.call(relayed.accessToken)
    t.equal(call.statusCode, 200, call.body)
    t.same(call.json(), { subject: relayed.subject, authorization: `Bearer ${relayed.accessToken}` })
    provider.nonce = null
    const answer = await relay.refresh(relayed.refreshToken)
    t.equal(answer.statusCode, 200, answer.body)
    const { form } = provider.requests.find(({ path }) => path === '/token')!
    t.equal(form.get('grant_type'), 'refresh_token')
    t.equal(form.get('refresh_token'), relayed.providerRefreshToken)
    const tokens = answer.json() as Tokens
    t.match(tokens.access_token, /^provider-access-/)
    t.match((await relay.call(tokens.access_token)).json(), { subject: relayed.subject })
    await relay.post('revoke', { client_id: 'app', token: tokens.access_token })
    t.equal((await relay.call(tokens.access_token)).statusCode, 401)
    await until(() => provider.count('/revoke') === 1)
  },

  'what had ended stays ended (G-10)': async (t, upgraded) => {
    const { handles, opaque, store } = upgraded
    const { ended } = handles
    t.equal((await opaque.call(ended.accessToken)).statusCode, 401)
    const answer = await opaque.refresh(ended.refreshToken)
    t.equal(answer.statusCode, 400)
    t.equal(answer.json().error, 'invalid_grant')
    t.equal((await store.read(ended.key))?.version, ended.version, 'untouched')
  },

  'a logout by subject finds the sessions of the earlier release (G-10)': async (t, upgraded) => {
    const { handles, opaque } = upgraded
    const { active } = handles
    t.equal(await opaque.app.pkce.endSession({ subject: active.subject }), 1)
    t.equal((await opaque.call(active.accessToken)).statusCode, 401)
    t.same(await opaque.app.pkce.sessionsOf(active.subject), [])
  },
}
