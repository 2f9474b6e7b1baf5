import t from 'tap'
import { memoryStore, type PkceOptions, resolveOptions, type Store } from '../../../plugin/index.ts'
import { least, oneProblem, problemsOf, withClient, withProvider } from '../../support/plugin-options.ts'

const SECRET = Buffer.alloc(32, 7).toString('base64url')

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
    ['duplicateSeconds', 301],
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
  t.match(
    warnings(withClient({ redirectUris: ['http://127.0.0.1/cb', 'http://localhost:3000'] })),
    [/client app: a redirect URI is on localhost.*RFC 8252 §8\.3/],
    'A-04',
  )
  t.same(warnings(withClient({ redirectUris: ['http://127.0.0.1/cb', 'https://localhost.example/'] })), [])
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
