import fastify from 'fastify'
import t from 'tap'
import pkce, { ConfigError, type PkceOptions } from '../../../plugin/index.ts'
import { least, oneProblem, problemsOf, withClient, withProvider } from '../../support/plugin-options.ts'

t.test('unknown keys are errors, at every depth', async (t) => {
  for (const [options, path] of [
    [{ ...least(), publicURL: 'x' }, 'publicURL'],
    [{ ...least(), allowPlainPkce: true }, 'allowPlainPkce'],
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
    t.same(problemsOf({}), [
      'publicUrl: is required',
      'clients: is required',
      'provider: is required; several have names, in providers',
    ])
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
      [withProvider({ trustedAudiences: 'project' }), 'provider.trustedAudiences'],
      [withProvider({ trustedAudiences: [''] }), 'provider.trustedAudiences[0]'],
      [withProvider({ clockToleranceSeconds: -1 }), 'provider.clockToleranceSeconds'],
      [withProvider({ clockToleranceSeconds: 601 }), 'provider.clockToleranceSeconds'],
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

t.test('every problem is listed at once', async (t) => {
  const options = {
    ...least(),
    publicUrl: 'https://API.example.com/',
    provider: { issuer: 'ftp://x', clientId: 'a', authorizationParams: { state: 'x' } },
    clients: [
      {
        clientId: 'a',
        redirectUris: ['myapp:/cb', 'https://ok.example/cb', 'http://127.1/cb'],
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
