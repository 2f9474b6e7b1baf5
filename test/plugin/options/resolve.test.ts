import t from 'tap'
import { type PkceOptions, resolveOptions } from '../../../plugin/index.ts'
import { noAgents } from '../../support/oauth-fixtures.ts'
import { least, oneProblem, withClient, withProvider } from '../../support/plugin-options.ts'

t.test('the defaults are secure, and change by intention only (SC-06)', async (t) => {
  const { secrets, store, clients, resourceServers, ...plain } = resolveOptions(least())
  t.same(plain, {
    publicUrl: 'https://api.example.com',
    routePrefix: '/oauth2',
    providers: [
      {
        name: undefined,
        callbackPath: '/callback',
        options: {
          issuer: 'https://login.example.com',
          clientId: 'backend',
          clientSecret: 'secret',
          clientAuthentication: 'client_secret_basic',
          scope: 'openid offline_access',
          pkce: 'own',
          par: 'auto',
          responseMode: 'query',
          subjectClaim: 'sub',
          nonce: true,
          idToken: 'check',
          trustedAudiences: [],
          clockToleranceSeconds: 60,
          authorizationParams: {},
          timeouts: { connectMs: 3000, headersMs: 5000, bodyMs: 5000, totalMs: 10_000 },
          allowedHosts: [],
          dangerouslyAllowPrivateNetwork: false,
        },
      },
    ],
    agents: noAgents,
    scopeDescriptions: new Map(),
    resources: [],
    appLinks: [],
    tokens: 'opaque',
    lifetimes: {
      transactionSeconds: 600,
      codeSeconds: 60,
      accessTokenSeconds: 600,
      duplicateSeconds: 15,
      refreshGraceSeconds: 15,
      refreshIdleSeconds: 2_592_000,
      sessionSeconds: 7_776_000,
      tombstoneSeconds: 3600,
    },
    session: { cacheSeconds: 300 },
    limits: { transactionsPerAddress: 100, transactions: 100_000 },
    rateLimit: {
      authorize: { max: 30, windowMs: 60_000 },
      token: { max: 60, windowMs: 60_000 },
      register: { max: 10, windowMs: 60_000 },
      logout: { max: 600, windowMs: 60_000 },
    },
    pages: { accentColor: '#2563eb' },
    log: { subject: 'hash' },
    warnings: [],
  })
  t.same(
    [...clients.values()],
    [
      {
        clientId: 'app',
        name: 'app',
        enabled: true,
        authentication: 'none',
        redirectUris: ['https://app.example.com/callback'],
        scopes: [],
        providerScopes: [],
        claims: [],
        passThrough: [],
        allowedOrigins: [],
        providers: [],
        requirePar: false,
        dpop: 'off',
        repeatableExchange: false,
      },
    ],
  )
  t.same([...resourceServers], [])
  t.equal(store.name, 'memory')
  t.equal(secrets.length, 1)
  t.equal(secrets[0]?.length, 32)
  t.notSame(secrets, resolveOptions(least()).secrets, 'a secret of its own, made of random bytes')
  await store.close()
})

t.test('resolved options are frozen to the leaves, and a copy', async (t) => {
  const given = withClient({ scopes: ['a'] })
  const resolved = resolveOptions({ ...given, rateLimit: {} } as PkceOptions)
  const frozen = (value: unknown, path: string) => {
    if (typeof value !== 'object' || value === null) return
    t.ok(Object.isFrozen(value), path)
    for (const [key, inner] of Object.entries(value)) frozen(inner, `${path}.${key}`)
  }
  for (const key of ['providers', 'lifetimes', 'limits', 'rateLimit'] as const) frozen(resolved[key], key)
  frozen(resolved.clients.get('app'), 'client')
  given.clients[0]!.redirectUris!.push('https://evil.example')
  t.equal(resolved.clients.get('app')?.redirectUris.length, 1)
  t.notOk(Object.isFrozen(given.clients), 'what was given is left alone')
})

t.test('functions are secrets of the provider, and nothing else', async (t) => {
  const ask = () => 'secret'
  const { providers } = resolveOptions(withProvider({ clientSecret: ask }) as PkceOptions)
  t.equal(providers[0]?.options.clientSecret, ask, 'asked at each use (F-06)')
  for (const [options, path] of [
    [withClient({ authentication: 'client_secret_basic', clientSecret: ask }), 'clients[0].clientSecret'],
    [withProvider({ issuer: ask }), 'provider.issuer'],
    [{ ...least(), publicUrl: ask }, 'publicUrl'],
    [{ ...least(), secrets: [ask] }, 'secrets[0]'],
    [{ ...least(), secrets: ask }, 'secrets'],
    [{ ...least(), lifetimes: ask }, 'lifetimes'],
    [
      { ...least(), resourceServers: [{ clientId: 'a', clientSecret: ask }] },
      'resourceServers[0].clientSecret',
    ],
    [{ ...least(), limits: { transactions: 10n } }, 'limits.transactions'],
  ] as const) {
    oneProblem(t, options, path, undefined, path)
  }
})
