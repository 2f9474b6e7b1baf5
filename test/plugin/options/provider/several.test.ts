import t from 'tap'
import { type PkceOptions, resolveOptions } from '../../../../plugin/index.ts'
import { least, problemsOf } from '../../../support/plugin-options.ts'

const google = { preset: 'google', clientId: 'backend', clientSecret: 'secret' }
const keycloak = { issuer: 'https://login.example.com/realms/a', clientId: 'backend', clientSecret: 'secret' }
const withProviders = (providers: unknown, client: object = {}) => ({
  ...{ ...least(), provider: undefined, providers },
  clients: [{ ...least().clients[0], ...client }],
})

t.test('several providers, each with its defaults, its preset and its callback (M-04)', async (t) => {
  const ask = () => 'secret'
  const { providers, warnings } = resolveOptions(
    withProviders({ google, keycloak: { ...keycloak, clientSecret: ask, pkce: 'none' } }) as PkceOptions,
  )
  t.match(providers, [
    {
      ...{ name: 'google', callbackPath: '/callback/google' },
      options: { name: 'Google', issuer: 'https://accounts.google.com', pkce: 'own' },
    },
    {
      ...{ name: 'keycloak', callbackPath: '/callback/keycloak' },
      options: { clientSecret: ask, scope: 'openid offline_access', timeouts: { totalMs: 10_000 } },
    },
  ])
  t.match(warnings, [/^providers\.keycloak\.pkce is none/], 'named')
})

t.test('what is wrong with the set, or with one of it, has its place (M-04, M-05)', async (t) => {
  for (const [providers, expected] of [
    [{}, ['providers: must not be empty']],
    [[google], ['providers: must be a map']],
    [{ google: 1 }, ['providers.google: must be a map']],
    [
      { google: { ...google, issur: 'https://x.example' } },
      ['providers.google.issur: is not known here; did you mean "issuer"?'],
    ],
    [
      { google: { ...google, preset: 'gogle', issuer: 'https://x.example' } },
      [/^providers\.google\.preset: .*did you mean "google"/],
    ],
    [{ google: { ...google, clientSecret: undefined } }, [/^providers\.google\.clientSecret: is required/]],
    [{ google: { ...google, clientId: undefined } }, ['providers.google.clientId: is required']],
    [
      { keycloak: { ...keycloak, tokenEndpoint: 'https://elsewhere.example/token' } },
      [
        /^providers\.keycloak\.authorizationEndpoint: is required/,
        /^providers\.keycloak\.tokenEndpoint: .* to providers\.keycloak\.allowedHosts$/,
      ],
    ],
    [{ a: keycloak, b: keycloak }, ['providers.b.issuer: is the issuer of a too']],
    [{ 'a/b': keycloak }, [/^providers\.a\/b: is no name/]],
    [{ Google: google }, [/^providers\.Google: is no name/]],
    [JSON.parse(`{ "__proto__": ${JSON.stringify(keycloak)} }`), [/^providers\.__proto__: is no name/]],
  ] as const) {
    t.match(problemsOf(withProviders(providers)), [...expected], JSON.stringify(providers))
  }
  t.same(problemsOf({ ...withProviders({ google }), provider: keycloak }), [
    'providers: is given besides provider: keep one of them',
  ])
})

t.test('clients[].providers names some of them (M-04)', async (t) => {
  t.same(problemsOf(withProviders({ google, keycloak }, { providers: ['google'] })), [])
  t.same(problemsOf(withProviders({ google, keycloak }, { providers: ['goggle'] })), [
    'clients[0].providers[0]: is not one of providers; did you mean "google"?',
  ])
  t.same(problemsOf({ ...least(), clients: [{ ...least().clients[0], providers: ['google'] }] }), [
    'clients[0].providers[0]: is for providers; here is but one',
  ])
})
