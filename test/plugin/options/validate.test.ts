import t from 'tap'
import { validateOptions } from '../../../plugin/api/internal.ts'
import { resolveOptions } from '../../../plugin/index.ts'
import { least, problemsOf } from '../../support/plugin-options.ts'
import { resourcesMadeBy } from '../../support/resources.ts'

t.test('what breaks the schema does not hide what breaks a rule elsewhere', async (t) => {
  const options = {
    ...least(),
    publicURL: 'x',
    provider: { ...least().provider, issuer: 'http://as.example', pkse: 'own' },
    clients: [{ clientId: 7 }, { clientId: 'app', redirectUris: ['myapp:/cb'] }],
    resourceServers: [{ clientId: 'app', clientSecret: 'x' }, {}],
    lifetimes: { codeSeconds: 61 },
    limits: { transactions: 0 },
  }
  t.same(
    problemsOf(options).map((problem) => problem.split(':')[0]),
    [
      'publicURL',
      'provider.pkse',
      'clients[0].redirectUris',
      'clients[0].clientId',
      'resourceServers[1].clientId',
      'resourceServers[1].clientSecret',
      'limits.transactions',
      'provider.issuer',
      'clients[1].redirectUris[0]',
      'resourceServers[0].clientId',
      'lifetimes.codeSeconds',
    ],
  )
})

t.test('options are validated without a store: only its kind counts (G-05)', async (t) => {
  t.same(validateOptions(least(), 'memory').problems, [])
  t.match(validateOptions(least(), 'redis').problems, [{ path: ['secrets'] }])
  const made = resourcesMadeBy(() => {
    validateOptions(least(), 'memory')
    problemsOf({ ...least(), publicUrl: 'http://example.com' })
  })
  t.same(made, [], 'no timer of a store')
  t.match(
    resourcesMadeBy(() => resolveOptions(least()).store.close()),
    ['Timeout'],
    'which would be seen',
  )
})

t.test('a secret of a variable that is not set is refused by name, and says so (F-06)', async (t) => {
  const { UNSET } = {} as Record<string, string | undefined>
  const unset = 'it is undefined: is its environment variable set?'
  const problems = problemsOf({
    ...least(),
    provider: { ...least().provider, clientSecret: UNSET },
    clients: [{ ...least().clients[0], authentication: 'client_secret_basic', clientSecret: UNSET }],
    resourceServers: [{ clientId: 'server', clientSecret: UNSET }],
    secrets: [Buffer.alloc(32, 1).toString('base64url'), UNSET],
  })
  t.same(
    problems.map((problem) => [problem.split(':')[0], problem.endsWith(unset)]),
    [
      ['resourceServers[0].clientSecret', true],
      ['secrets[1]', true],
      ['provider.clientSecret', true],
      ['clients[0].clientSecret', true],
    ],
  )
  const named = { ...least(), provider: undefined, providers: { one: least().provider } }
  const { clientSecret, ...rest } = named.providers.one
  t.equal(problemsOf(named).length, 0, 'not the key whose value is undefined where nothing is wrong')
  t.match(problemsOf({ ...named, providers: { one: { ...rest, clientSecret: UNSET } } }), [
    /^providers\.one\.clientSecret: .*; it is undefined/,
  ])
  t.notMatch(problemsOf({ ...named, providers: { one: rest } })[0], 'undefined', 'a key that is not there')
})

t.test('provider.ca: undefined does not mean the public authorities (SC-06)', async (t) => {
  t.match(problemsOf({ ...least(), provider: { ...least().provider, ca: undefined } }), [
    /^provider\.ca: must not be undefined/,
  ])
  const none = { ...least().provider, privateKey: undefined, clientCert: undefined, clientKey: undefined }
  t.same(problemsOf({ ...least(), provider: none }), [], 'where no secret is needed, none need be there')
})
