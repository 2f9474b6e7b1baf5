import fastify, { type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import pkce, {
  ConfigError,
  formatPath,
  memoryStore,
  type PkceOptions,
  resolveOptions,
  type Store,
} from '../../../plugin/index.ts'

const SECRET = Buffer.alloc(32, 7).toString('base64url')

/** Options without anything that has a default. */
const least = (): PkceOptions => ({
  publicUrl: 'https://api.example.com',
  provider: { issuer: 'https://login.example.com', clientId: 'backend', clientSecret: 'secret' },
  clients: [{ clientId: 'app', redirectUris: ['https://app.example.com/callback'] }],
})

/** What is wrong with options, as an operator reads it. */
function problemsOf(options: unknown): string[] {
  try {
    resolveOptions(options as PkceOptions)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(({ path, problem }) => `${formatPath(path)}: ${problem}`)
  }
}

/** Options with something laid over the provider, or over the only client. */
const withProvider = (provider: object) => ({ ...least(), provider: { ...least().provider, ...provider } })
const withClient = (client: object) => ({ ...least(), clients: [{ ...least().clients[0], ...client }] })

/** Exactly one problem, at `path`. */
function oneProblem(t: Test, options: unknown, path: string, words: RegExp | string = /./, message = '') {
  const problems = problemsOf(options)
  t.equal(problems.length, 1, `${message} one problem: ${problems.join(' | ')}`)
  t.ok(problems[0]?.startsWith(`${path}: `), `${message} at ${path}: ${problems[0]}`)
  t.match(problems[0], words, message)
}

t.test('the defaults are secure, and change by intention only (SC-06)', async (t) => {
  const { secrets, store, clients, resourceServers, ...plain } = resolveOptions(least())
  t.same(plain, {
    publicUrl: 'https://api.example.com',
    routePrefix: '/oauth2',
    callbackUrl: 'https://api.example.com/oauth2/callback',
    provider: {
      issuer: 'https://login.example.com',
      clientId: 'backend',
      clientSecret: 'secret',
      clientAuthentication: 'client_secret_basic',
      scope: 'openid offline_access',
      pkce: 'own',
      authorizationParams: {},
      timeouts: { connectMs: 3000, headersMs: 5000, bodyMs: 5000, totalMs: 10_000 },
      allowedHosts: [],
      dangerouslyAllowPrivateNetwork: false,
    },
    tokens: 'opaque',
    lifetimes: {
      transactionSeconds: 600,
      codeSeconds: 60,
      accessTokenSeconds: 600,
      refreshGraceSeconds: 15,
      refreshIdleSeconds: 2_592_000,
      sessionSeconds: 7_776_000,
      tombstoneSeconds: 3600,
    },
    limits: { transactionsPerAddress: 100, transactions: 100_000 },
    rateLimit: { authorize: { max: 30, windowMs: 60_000 }, token: { max: 60, windowMs: 60_000 } },
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
  for (const key of ['provider', 'lifetimes', 'limits', 'rateLimit'] as const) frozen(resolved[key], key)
  frozen(resolved.clients.get('app'), 'client')
  given.clients[0]!.redirectUris!.push('https://evil.example')
  t.equal(resolved.clients.get('app')?.redirectUris.length, 1)
  t.notOk(Object.isFrozen(given.clients), 'what was given is left alone')
})

t.test('unknown keys are errors, at every depth', async (t) => {
  for (const [options, path] of [
    [{ ...least(), publicURL: 'x' }, 'publicURL'],
    [{ ...least(), allowPlainPkce: true }, 'allowPlainPkce'],
    [{ ...least(), prefix: '/x' }, 'prefix'],
    [withProvider({ client_id: 'x' }), 'provider.client_id'],
    [withProvider({ timeouts: { totalSeconds: 1 } }), 'provider.timeouts.totalSeconds'],
    [withClient({ redirectUri: 'x' }), 'clients[0].redirectUri'],
    [{ ...least(), lifetimes: { codeMinutes: 1 } }, 'lifetimes.codeMinutes'],
    [{ ...least(), limits: { perAddress: 1 } }, 'limits.perAddress'],
    [
      { ...least(), resourceServers: [{ clientId: 'a', clientSecret: 'b', name: 'c' }] },
      'resourceServers[0].name',
    ],
  ] as const) {
    oneProblem(t, options, path, 'is not known here', path)
  }
  t.not(problemsOf({ ...least(), rateLimit: { token: { maximum: 1 } } }).length, 0)
  t.not(problemsOf(JSON.parse('{"__proto__": {"publicUrl": "https://api.example.com"}}')).length, 0)
})

t.test(
  'what is missing or of the wrong type is named in plain words, and no value is repeated',
  async (t) => {
    t.same(problemsOf({}), ['publicUrl: is required', 'provider: is required', 'clients: is required'])
    for (const [options, path] of [
      [{ ...least(), publicUrl: 7 }, 'publicUrl'],
      [{ ...least(), tokens: 'hunter2' }, 'tokens'],
      [{ ...least(), clients: [] }, 'clients'],
      [{ ...least(), clients: {} }, 'clients'],
      [{ ...least(), secrets: ['hunter2'] }, 'secrets[0]'],
      [{ ...least(), lifetimes: { codeSeconds: '60' } }, 'lifetimes.codeSeconds'],
      [{ ...least(), lifetimes: { codeSeconds: Number.NaN } }, 'lifetimes.codeSeconds'],
      [{ ...least(), lifetimes: { codeSeconds: 1.5 } }, 'lifetimes.codeSeconds'],
      [{ ...least(), limits: { transactions: 0 } }, 'limits.transactions'],
      [withProvider({ clientSecret: 7 }), 'provider.clientSecret'],
      [withProvider({ pkce: 'plain' }), 'provider.pkce'],
      [withProvider({ scope: undefined, authorizationParams: { a: 1 } }), 'provider.authorizationParams.a'],
      [withClient({ redirectUris: [] }), 'clients[0].redirectUris'],
      [withClient({ enabled: 'yes' }), 'clients[0].enabled'],
      [withClient({ interaction: 'never' }), 'clients[0].interaction'],
      [withClient({ authentication: 'private_key_jwt' }), 'clients[0].authentication'],
      [withClient({ clientId: 'ümlaut' }), 'clients[0].clientId'],
      [withClient({ clientId: 'x'.repeat(257) }), 'clients[0].clientId'],
      [withClient({ name: '' }), 'clients[0].name'],
    ] as const) {
      oneProblem(t, options, path, /^(?!.*hunter2)/, path)
    }
  },
)

t.test('functions are secrets of the provider, and nothing else', async (t) => {
  const ask = () => 'secret'
  const { provider } = resolveOptions(withProvider({ clientSecret: ask }) as PkceOptions)
  t.equal(provider.clientSecret, ask, 'asked at each use (F-06)')
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

t.test('every problem is listed at once', async (t) => {
  const options = {
    ...least(),
    publicUrl: 'https://API.example.com/',
    provider: { issuer: 'ftp://x', clientId: 'a', authorizationParams: { state: 'x' } },
    clients: [
      {
        clientId: 'a',
        redirectUris: ['myapp:/cb', 'https://ok.example/cb', 'http://localhost/cb'],
        scopes: ['a b'],
      },
      { clientId: 'a', redirectUris: ['com.example:/cb'], passThrough: ['client_id'] },
    ],
    secrets: ['short'],
    lifetimes: { codeSeconds: 61 },
  }
  t.same(
    problemsOf(options).map((problem) => problem.split(':')[0]),
    [
      'publicUrl',
      'provider.issuer',
      'provider.clientSecret',
      'provider.authorizationParams.state',
      'clients[0].redirectUris[0]',
      'clients[0].redirectUris[2]',
      'clients[0].scopes[0]',
      'clients[1].clientId',
      'clients[1].passThrough[0]',
      'secrets[0]',
      'lifetimes.codeSeconds',
    ],
  )
  const app = fastify()
  t.teardown(() => app.close())
  const error = await app.register(pkce, options as PkceOptions).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  t.ok(error instanceof ConfigError, 'registration fails with it')
  t.match(
    (error as ConfigError).message,
    /^invalid configuration:\n {2}publicUrl: .*\n {2}provider\.issuer: /,
  )
  t.equal((error as ConfigError).code, 'PKCE_CONFIG')
  t.equal((error as ConfigError).problems.length, 11)
})

t.test('publicUrl has one spelling (RFC 9207 §2.4)', async (t) => {
  for (const publicUrl of [
    'https://api.example.com',
    'https://api.example.com:8443',
    'http://127.0.0.1:3000',
    'http://[::1]:3000',
    'http://127.0.0.1',
  ]) {
    t.same(problemsOf({ ...least(), publicUrl }), [], publicUrl)
  }
  for (const publicUrl of [
    'https://api.example.com/',
    'https://api.example.com/path',
    'https://api.example.com:443',
    'https://api.example.com:99999',
    'http://127.0.0.1:80',
    'https://API.example.com',
    'http://api.example.com',
    'http://localhost:3000',
    'http://127.1:3000',
    'https://user@api.example.com',
    'https://api.example.com?x',
    'https://api.example.com#x',
    'https://1.2.3.999',
    'https://0x7f.1',
    'api.example.com',
    ' https://api.example.com',
    '',
  ]) {
    oneProblem(t, { ...least(), publicUrl }, 'publicUrl', undefined, publicUrl)
  }
})

t.test('routePrefix is a plain path', async (t) => {
  for (const routePrefix of ['/auth', '/a/b.c/~d']) t.same(problemsOf({ ...least(), routePrefix }), [])
  for (const routePrefix of [
    '',
    '/',
    'auth',
    '/auth/',
    '//auth',
    '/..',
    '/a/../b',
    '/./a',
    '/:param',
    '/*',
    '/a b',
    '/ä',
    '/a?b',
  ]) {
    oneProblem(t, { ...least(), routePrefix }, 'routePrefix', undefined, routePrefix)
  }
})

t.test('redirect URIs are linted by an allow-list (RFC 8252 §7, O2.1, A-06)', async (t) => {
  for (const uri of [
    'https://app.example.com/cb',
    'https://app.example.com',
    'https://app.example.com:8443/cb?x=1',
    'http://127.0.0.1/cb',
    'http://127.0.0.1:8080/cb',
    'http://[::1]/cb',
    'com.example.app:/cb',
    'com.example.app:/',
    'com.example-app.x+y:/cb?x=1',
  ]) {
    t.same(problemsOf(withClient({ redirectUris: [uri] })), [], uri)
  }
  for (const uri of [
    'myapp:/cb',
    'myapp://cb',
    'com.example.app://cb',
    'com.example.app:cb',
    'Com.Example.App:/cb',
    'java\nscript:alert(1)',
    'javascript:alert(1)',
    'java.script:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'blob:https://x',
    'intent://x#Intent;end',
    'urn:ietf:wg:oauth:2.0:oob',
    'http://app.example.com/cb',
    'http://localhost/cb',
    'http://localhost:8080/cb',
    'http://127.0.0.1',
    'http://127.1/cb',
    'http://127.0.0.1:99999/cb',
    'https://user:pw@app.example.com/cb',
    'https://app.example.com@evil.example/cb',
    'https:/app.example.com/cb',
    'https:app.example.com',
    'https://app.example.com/cb#x',
    'https://app.example.com/cb#',
    'https://*.example.com/cb',
    'https://app.example.com/*',
    'https://app.example.com/a b',
    'https://app.example.com\\@evil.example',
    'https://app.example.com/cb?code=x',
    'https://app.example.com/cb?st%61te=x',
    'https://app.example.com/%zz',
    'https://app.example.com/ä',
    'https://',
    ' https://app.example.com/cb',
    '//app.example.com/cb',
    '/cb',
    '',
  ]) {
    oneProblem(
      t,
      withClient({ redirectUris: [uri] }),
      'clients[0].redirectUris[0]',
      undefined,
      JSON.stringify(uri),
    )
  }
})

t.test('clients: what contradicts itself', async (t) => {
  oneProblem(t, withClient({ clientSecret: 'x' }), 'clients[0].clientSecret', 'authentication is none')
  oneProblem(
    t,
    withClient({ authentication: 'client_secret_post' }),
    'clients[0].clientSecret',
    'is required',
  )
  oneProblem(t, withClient({ scopes: ['a'], providerScopes: ['b'] }), 'clients[0].providerScopes[0]')
  oneProblem(t, withClient({ scopes: ['quoted"'] }), 'clients[0].scopes[0]', 'RFC 6749 §3.3')
  oneProblem(t, withClient({ passThrough: ['state'] }), 'clients[0].passThrough[0]', 'login_hint')
  for (const origin of [
    '*',
    'null',
    'https://spa.example.com/',
    'https://spa.example.com:443',
    'https://SPA.example.com',
    'http://spa.example.com',
    'http://localhost',
    'https://*.example.com',
    'https://a:99999',
  ]) {
    oneProblem(t, withClient({ allowedOrigins: [origin] }), 'clients[0].allowedOrigins[0]', undefined, origin)
  }
  for (const origin of [
    'https://spa.example.com',
    'https://spa.example.com:8443',
    'http://localhost:5173',
    'http://127.0.0.1:5173',
    'http://[::1]:5173',
  ]) {
    t.same(problemsOf(withClient({ allowedOrigins: [origin] })), [], origin)
  }
  const servers = [{ clientId: 'app', clientSecret: 'x' }]
  oneProblem(t, { ...least(), resourceServers: servers }, 'resourceServers[0].clientId', 'is taken')
})

t.test('the provider: what contradicts itself', async (t) => {
  const endpoints = {
    authorizationEndpoint: 'https://login.example.com/a',
    tokenEndpoint: 'https://login.example.com/t',
  }
  t.same(problemsOf(withProvider({ ...endpoints, jwksUri: 'https://login.example.com/k' })), [])
  t.same(problemsOf(withProvider({ ...endpoints, scope: 'api' })), [])
  for (const [provider, path] of [
    [{ issuer: 'login.example.com' }, 'provider.issuer'],
    [{ issuer: 'https://u:p@login.example.com' }, 'provider.issuer'],
    [{ issuer: 'https://login.example.com?x=1' }, 'provider.issuer'],
    [{ issuer: 'https://login.example.com#x' }, 'provider.issuer'],
    [{ clientSecret: undefined }, 'provider.clientSecret'],
    [{ clientAuthentication: 'private_key_jwt' }, 'provider.privateKey'],
    [{ tokenEndpoint: 'https://login.example.com/t' }, 'provider.authorizationEndpoint'],
    [{ authorizationEndpoint: 'https://login.example.com/a', scope: 'api' }, 'provider.tokenEndpoint'],
    [{ ...endpoints }, 'provider.jwksUri'],
  ] as const) {
    oneProblem(t, withProvider(provider), path, undefined, JSON.stringify(provider))
  }
  for (const name of [
    'client_id',
    'redirect_uri',
    'response_type',
    'response_mode',
    'scope',
    'state',
    'nonce',
    'code_challenge',
    'code_challenge_method',
    'request',
    'request_uri',
    'client_secret',
  ]) {
    oneProblem(
      t,
      withProvider({ authorizationParams: { [name]: 'x' } }),
      `provider.authorizationParams.${name}`,
    )
  }
})

t.test('lifetimes stay within what the protocol promises (B-10)', async (t) => {
  for (const [key, value] of [
    ['codeSeconds', 61],
    ['codeSeconds', 0],
    ['transactionSeconds', 0],
    ['transactionSeconds', 3601],
    ['accessTokenSeconds', 0],
    ['accessTokenSeconds', 86_401],
    ['refreshGraceSeconds', 301],
    ['refreshIdleSeconds', 0],
    ['sessionSeconds', 0],
    ['tombstoneSeconds', 59],
    ['sessionSeconds', -1],
  ] as const) {
    oneProblem(
      t,
      { ...least(), lifetimes: { [key]: value } },
      `lifetimes.${key}`,
      undefined,
      `${key} ${value}`,
    )
  }
  t.same(problemsOf({ ...least(), lifetimes: { refreshGraceSeconds: 0, codeSeconds: 60 } }), [])
})

t.test('secrets: random, long, and required where the store outlives the process (G-05)', async (t) => {
  const memory = memoryStore()
  t.teardown(() => memory.close())
  const lasting = new Proxy(memory, {
    get: (target, key: keyof Store) => (key === 'name' ? 'redis' : target[key]),
  })
  oneProblem(t, { ...least(), store: lasting }, 'secrets', 'required unless the store is memory')
  t.same(problemsOf({ ...least(), store: lasting, secrets: [SECRET] }), [])
  const { secrets } = resolveOptions({
    ...least(),
    secrets: [SECRET, Buffer.alloc(48, 1).toString('base64url')],
  })
  t.same(
    secrets.map((secret) => secret.length),
    [32, 48],
    'in their order',
  )
  for (const secret of [
    '',
    'short',
    Buffer.alloc(31).toString('base64url'),
    `${SECRET}!`,
    `+/${SECRET}`,
    'correct horse battery staple and more words',
  ]) {
    oneProblem(t, { ...least(), secrets: [SECRET, secret] }, 'secrets[1]', /^(?!.*correct horse)/, secret)
  }
})

t.test('what weakens security is said at start, loudly (SC-07)', async (t) => {
  const warnings = (options: object) => resolveOptions({ ...least(), ...options } as PkceOptions).warnings
  t.match(warnings({ rateLimit: false }), [/rateLimit is false/])
  t.match(warnings(withProvider({ pkce: 'none' })), [/provider.pkce is none/])
  t.match(warnings(withProvider({ dangerouslyAllowPrivateNetwork: true })), [
    /dangerouslyAllowPrivateNetwork/,
  ])
  t.match(warnings(withClient({ interaction: 'none', redirectUris: ['com.example:/cb'] })), [
    /client app: interaction is none/,
  ])
  t.same(warnings(withClient({ interaction: 'none' })), [], 'https is claimed')
})

t.test('the memory store is refused in production (G-13)', async (t) => {
  const { NODE_ENV } = process.env
  process.env.NODE_ENV = 'production'
  t.teardown(() => {
    if (NODE_ENV === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = NODE_ENV
  })
  t.match(problemsOf(least()), [
    /^secrets: is required/,
    /^store: .*NODE_ENV is production.*redisStore or postgresStore/,
  ])
  const store = memoryStore({ dangerouslyAllowInProduction: true })
  t.teardown(() => store.close())
  t.same(problemsOf({ ...least(), store }), [])
})

t.test('the instance: settings that would undermine the plugin (H-01, J-08)', async (t) => {
  const register = async (settings: FastifyServerOptions, prefix?: string) => {
    const app = fastify(settings)
    const options = {
      ...least(),
      provider: { issuer: 'http://127.0.0.1:1', clientId: 'a', clientSecret: 'b' },
    }
    try {
      if (prefix === undefined) await app.register(pkce, options)
      else await app.register(async (child) => child.register(pkce, options), { prefix })
      return []
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return error.problems.map(({ path }) => formatPath(path))
    } finally {
      await app.close()
    }
  }
  for (const trustProxy of [true, 1, 2, () => true] as const) {
    t.same(await register({ trustProxy } as FastifyServerOptions), ['fastify.trustProxy'], String(trustProxy))
  }
  for (const trustProxy of [
    false,
    '127.0.0.1',
    ['10.0.0.0/8', '::1'],
    '10.0.0.1,10.0.0.2',
    'loopback',
  ] as const) {
    t.same(await register({ trustProxy } as FastifyServerOptions), [], String(trustProxy))
  }
  for (const option of ['ignoreTrailingSlash', 'ignoreDuplicateSlashes', 'useSemicolonDelimiter']) {
    t.same(await register({ routerOptions: { [option]: true } }), [`fastify.${option}`])
  }
  t.same(await register({ routerOptions: { caseSensitive: false } }), ['fastify.caseSensitive'])
  t.same(
    await register({ trustProxy: true, routerOptions: { caseSensitive: false, ignoreTrailingSlash: true } }),
    ['fastify.ignoreTrailingSlash', 'fastify.caseSensitive', 'fastify.trustProxy'],
  )
  t.same(await register({}, '/v1'), ['fastify.prefix'], 'metadata would name addresses that do not exist')
  t.same(await register({}, ''), [], 'an encapsulated scope without a prefix is fine')
})
