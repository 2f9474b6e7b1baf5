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
