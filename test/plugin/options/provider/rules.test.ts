import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { type PkceOptions, resolveOptions } from '../../../../plugin/index.ts'
import { oneProblem, problemsOf, withProvider } from '../../../support/plugin-options.ts'

t.test('an http issuer is for loopback, or dangerouslyAllowPrivateNetwork (F-01)', async (t) => {
  for (const provider of [
    { issuer: 'http://127.0.0.1:4000' },
    { issuer: 'http://[::1]:4000' },
    { issuer: 'http://localhost:4000' },
    { issuer: 'http://as.internal', dangerouslyAllowPrivateNetwork: true },
    { issuer: 'https://10.0.0.1', dangerouslyAllowPrivateNetwork: true },
  ]) {
    t.same(problemsOf(withProvider(provider)), [], provider.issuer)
  }
  for (const issuer of ['http://as.example', 'http://127.0.0.2:4000', 'http://127.0.0.1.example']) {
    oneProblem(t, withProvider({ issuer }), 'provider.issuer', 'must be https', issuer)
  }
  for (const issuer of ['https://10.0.0.1', 'https://[::ffff:169.254.169.254]']) {
    oneProblem(t, withProvider({ issuer }), 'provider.issuer', 'is on a private address', issuer)
  }
})

t.test(
  'explicit endpoints: https, on a host that is allowed, nothing in them but a place (F-02, F-03)',
  async (t) => {
    const at = (tokenEndpoint: string, more: object = {}) =>
      withProvider({
        authorizationEndpoint: 'https://login.example.com/a',
        tokenEndpoint,
        scope: 'api',
        ...more,
      })
    t.same(problemsOf(at('https://login.example.com/t')), [])
    t.same(problemsOf(at('https://tokens.example/t', { allowedHosts: ['tokens.example:443'] })), [])
    for (const [endpoint, words] of [
      ['login.example.com/t', 'is not a URL'],
      ['http://login.example.com/t', 'must be https'],
      ['https://user:pw@login.example.com/t', 'must not hold credentials'],
      ['https://login.example.com/t#x', 'must have no fragment'],
      ['https://tokens.example/t', 'add tokens.example:443 to provider.allowedHosts'],
    ] as const) {
      oneProblem(t, at(endpoint), 'provider.tokenEndpoint', words, endpoint)
    }
    const inside = at('https://169.254.169.254/t', { allowedHosts: ['169.254.169.254:443'] })
    oneProblem(t, inside, 'provider.tokenEndpoint', 'is on a private address')
    const escaping = withProvider({
      issuer: 'http://127.0.0.1:4000',
      scope: 'api',
      authorizationEndpoint: 'http://127.0.0.1:4000/a',
      tokenEndpoint: 'http://127.0.0.1:4001/t',
      allowedHosts: ['127.0.0.1:4001'],
    })
    oneProblem(t, escaping, 'provider.tokenEndpoint', 'is on a private address')
  },
)

t.test('another subject than sub is of a configured userinfo, without OpenID (F-17)', async (t) => {
  const endpoints = {
    authorizationEndpoint: 'https://login.example.com/a',
    tokenEndpoint: 'https://login.example.com/t',
  }
  const userinfoEndpoint = 'https://login.example.com/u'
  const options = (more: object) => withProvider({ ...endpoints, scope: 'user', subjectClaim: 'id', ...more })
  t.same(problemsOf(options({ userinfoEndpoint })), [])
  const oneAt = (more: object, words: string) => oneProblem(t, options(more), 'provider.subjectClaim', words)
  oneAt({}, 'provider.userinfoEndpoint')
  const jwksUri = 'https://login.example.com/k'
  oneAt({ userinfoEndpoint, jwksUri }, 'sub of the id_token')
  oneAt({ userinfoEndpoint, jwksUri, scope: 'openid' }, 'sub of the id_token')
  oneAt({ userinfoEndpoint, subjectClaim: '' }, 'must not be empty')
})

t.test('tenants belong to an issuer of several: ids, or * for all of them (F-14)', async (t) => {
  const id = 'aaaaaaaa-0000-4000-8000-000000000001'
  const options = (tenants: unknown, issuer = 'https://login.example.com/common/v2.0') =>
    withProvider({ issuer, tenants })
  t.same(problemsOf(options([id])), [])
  t.same(problemsOf(options([id.toUpperCase()], 'https://login.example.com/organizations')), [])
  const { warnings } = resolveOptions(options(['*']) as PkceOptions)
  t.match(warnings, [/tenants is \*: .*every tenant.*email/])
  oneProblem(t, options([]), 'provider.tenants', 'must not be empty')
  oneProblem(t, options(['contoso.com']), 'provider.tenants[0]', /id.*not a domain/)
  oneProblem(t, options(['*', id]), 'provider.tenants', 'stands alone')
  oneProblem(t, options([id], 'https://login.example.com/v2.0'), 'provider.tenants', '/common')
  const template = 'https://login.example.com/{tenantid}/v2.0'
  oneProblem(t, options([id], template), 'provider.issuer', /is a template.*common/)
  const endpoints = Object.fromEntries(
    ['authorizationEndpoint', 'tokenEndpoint', 'jwksUri'].map((key) => [
      key,
      `https://login.example.com/${key}`,
    ]),
  )
  t.same(
    problemsOf(withProvider({ ...endpoints, issuer: template, tenants: [id] })),
    [],
    'nothing is asked there',
  )
})

t.test("Apple's secret needs a team, a key's name and its .p8 (M-02)", async (t) => {
  const pkcs8 = (namedCurve: string) =>
    String(generateKeyPairSync('ec', { namedCurve }).privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const apple = {
    clientAuthentication: 'apple',
    clientSecret: undefined,
    teamId: 'ABCDE12345',
    keyId: 'KEY1234567',
  }
  const options = (more: object) => withProvider({ ...apple, privateKey: pkcs8('P-256'), ...more })
  t.same(problemsOf(options({})), [])
  t.same(problemsOf(options({ privateKey: () => 'x' })), [], 'a function is asked when it is needed')
  for (const privateKey of [
    's3cret',
    pkcs8('P-384'),
    String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })),
    String(
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    ),
  ]) {
    oneProblem(
      t,
      options({ privateKey }),
      'provider.privateKey',
      /is not Apple's: the whole \.p8(?!.*s3cret)/,
    )
  }
  for (const key of ['privateKey', 'teamId', 'keyId']) {
    oneProblem(
      t,
      options({ [key]: undefined }),
      `provider.${key}`,
      'is required: clientAuthentication is apple',
    )
  }
  oneProblem(t, options({ teamId: 'com.example' }), 'provider.teamId', "must be Apple's: ten capital letters")
})

t.test('something must bind the code: nonce: false and pkce: none are refused together (F-14)', async (t) => {
  t.same(problemsOf(withProvider({ nonce: false })), [])
  oneProblem(
    t,
    withProvider({ nonce: false, pkce: 'none' }),
    'provider.nonce',
    /pkce is none: nothing would bind/,
  )
})

t.test('a max_age of the operator is a number of seconds (OIDC Core §3.1.2.1)', async (t) => {
  const options = (max_age: string) => withProvider({ authorizationParams: { max_age } })
  t.same(problemsOf(options('3600')), [])
  oneProblem(t, options('1h'), 'provider.authorizationParams.max_age', 'seconds')
})

t.test('where to push requests is told by metadata alone (RFC 9126 §5, A-25)', async (t) => {
  t.same(problemsOf(withProvider({ par: 'always' })), [])
  const endpoints = Object.fromEntries(
    ['authorizationEndpoint', 'tokenEndpoint', 'jwksUri'].map((key) => [
      key,
      `https://login.example.com/${key}`,
    ]),
  )
  oneProblem(t, withProvider({ ...endpoints, par: 'always' }), 'provider.par', 'authorizationEndpoint')
  t.same(problemsOf(withProvider({ ...endpoints, par: 'never' })), [])
})

t.test('a provider that tells nobody who signs in -> a warning at start (F-17)', async (t) => {
  const warningsOf = (provider: object) => resolveOptions(withProvider(provider) as PkceOptions).warnings
  t.match(warningsOf({ scope: 'api' }), [/each login has a subject of its own, grant:<id>.*userinfoEndpoint/])
  t.same(warningsOf({ scope: 'openid' }), [])
  const endpoints = ['authorizationEndpoint', 'tokenEndpoint', 'userinfoEndpoint'].map((key) => [
    key,
    `https://login.example.com/${key}`,
  ])
  t.same(warningsOf({ scope: 'api', ...Object.fromEntries(endpoints) }), [])
})

t.test('a private key that is given as text must be one, of a kind that we sign with (F-05)', async (t) => {
  const withKey = (privateKey: unknown) =>
    withProvider({ clientAuthentication: 'private_key_jwt', clientSecret: undefined, privateKey })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = String(ec.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const jwk = ec.privateKey.export({ format: 'jwk' })
  const rsa = (modulusLength: number) =>
    String(generateKeyPairSync('rsa', { modulusLength }).privateKey.export({ type: 'pkcs8', format: 'pem' }))
  for (const key of [
    pem,
    rsa(2048),
    JSON.stringify(jwk),
    JSON.stringify({ ...jwk, alg: 'ES256', kid: 'k1' }),
    String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })),
  ]) {
    t.same(problemsOf(withKey(key)), [])
  }
  t.same(problemsOf(withKey(() => 's3cret')), [], 'a function is asked when it is needed')
  for (const key of [
    's3cret',
    '{"kty":"s3cret',
    '"s3cret"',
    '{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}',
    JSON.stringify(ec.publicKey.export({ format: 'jwk' })),
    JSON.stringify({ ...jwk, alg: 'RS256' }),
    JSON.stringify(generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey.export({ format: 'jwk' })),
    String(ec.privateKey.export({ type: 'sec1', format: 'pem' })),
    rsa(1024),
  ]) {
    oneProblem(t, withKey(key), 'provider.privateKey', /is not a private key(?!.*s3cret)/)
  }
})
