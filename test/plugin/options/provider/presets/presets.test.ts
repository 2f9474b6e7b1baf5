import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { stringify } from 'yaml'
import { printConfig } from '../../../../../gateway/config/print.ts'
import { type PkceOptions, resolveOptions } from '../../../../../plugin/index.ts'
import {
  expandPreset,
  PRESET_NAMES,
  PRESETS,
  type PresetName,
} from '../../../../../plugin/options/provider/presets/presets.ts'
import { file, load, minimal } from '../../../../support/gateway-config.ts'
import { least, oneProblem, problemsOf } from '../../../../support/plugin-options.ts'

const p8 = String(
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
)
const tenants = ['aaaaaaaa-0000-4000-8000-000000000001']
const clientSecret = 'secret'
/** What each preset leaves to whoever uses it, and what it comes to. */
const presets: Record<PresetName, { blanks: Record<string, unknown>; issuer: string; warnings?: RegExp[] }> =
  {
    google: { blanks: { clientSecret }, issuer: 'https://accounts.google.com' },
    apple: {
      blanks: { teamId: 'ABCDE12345', keyId: 'KEY1234567', privateKey: p8 },
      issuer: 'https://appleid.apple.com',
    },
    entra: {
      blanks: { clientSecret, tenants },
      issuer: 'https://login.microsoftonline.com/organizations/v2.0',
    },
    'microsoft-personal': {
      blanks: { clientSecret },
      issuer: 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0',
    },
    auth0: {
      blanks: { clientSecret, domain: 'example.eu.auth0.com' },
      issuer: 'https://example.eu.auth0.com/',
    },
    okta: {
      blanks: { clientSecret, domain: 'example.okta.com' },
      issuer: 'https://example.okta.com/oauth2/default',
    },
    keycloak: {
      blanks: { clientSecret, domain: 'login.example.com', realm: 'shop' },
      issuer: 'https://login.example.com/realms/shop',
    },
    cognito: {
      blanks: {
        clientSecret,
        domain: 'example.auth.eu-central-1.amazoncognito.com',
        region: 'eu-central-1',
        userPoolId: 'eu-central-1_AbCdEfGhI',
      },
      issuer: 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI',
    },
    github: { blanks: { clientSecret }, issuer: 'https://github.com' },
    'github-app': { blanks: { clientSecret }, issuer: 'https://github.com' },
    gitlab: { blanks: { clientSecret }, issuer: 'https://gitlab.com' },
    facebook: { blanks: { clientSecret }, issuer: 'https://www.facebook.com' },
    linkedin: {
      blanks: { clientSecret },
      issuer: 'https://www.linkedin.com/oauth',
      warnings: [/^provider\.pkce is none: /],
    },
    slack: { blanks: { clientSecret }, issuer: 'https://slack.com' },
    discord: { blanks: { clientSecret }, issuer: 'https://discord.com' },
  }
const withPreset = (provider: object) => ({ ...least(), provider: { clientId: 'backend', ...provider } })

for (const preset of PRESET_NAMES) {
  const { blanks, issuer, warnings: expected = [] } = presets[preset]

  t.test(`${preset}: its blanks make it complete, and without code (M-01)`, async (t) => {
    t.same(problemsOf(withPreset({ preset, ...blanks })), [])
    const { providers, warnings } = resolveOptions(withPreset({ preset, ...blanks }) as PkceOptions)
    const provider = providers[0]?.options
    const { issuer: _issuer, allowedHosts: _hosts, ...rest } = PRESETS[preset].options
    t.match(provider, { preset, clientId: 'backend', issuer, ...rest })
    t.notMatch(JSON.stringify(provider), /[{]\w+[}]/, 'no blank is left')
    t.equal(warnings.length, expected.length)
    t.match(warnings, expected)
    t.same(JSON.parse(JSON.stringify(PRESETS[preset])), PRESETS[preset], 'plain data')
  })

  t.test(`${preset}: a blank that is missing is named (M-01)`, async (t) => {
    for (const blank of Object.keys(blanks)) {
      const options = withPreset({ preset, ...blanks, [blank]: undefined })
      oneProblem(t, options, `provider.${blank}`, /is required: (?:clientAuthentication|preset) is /)
    }
  })

  t.test(`${preset}: expanding twice is expanding once (M-01)`, async (t) => {
    const once = expandPreset({ preset, ...blanks })
    t.same(expandPreset(once), once)
  })
}

t.test('a value of a preset may be written otherwise, as a default is (M-01)', async (t) => {
  const issuerOf = (provider: object) =>
    resolveOptions(withPreset({ clientSecret, ...provider }) as PkceOptions).providers[0]?.options.issuer
  t.equal(
    issuerOf({ preset: 'okta', domain: 'login.example.com', authorizationServer: 'aus1' }),
    'https://login.example.com/oauth2/aus1',
  )
  t.equal(issuerOf({ preset: 'gitlab', domain: 'git.example.com/gitlab' }), 'https://git.example.com/gitlab')
  t.equal(
    issuerOf({ preset: 'keycloak', issuer: 'http://localhost:8080/realms/x' }),
    'http://localhost:8080/realms/x',
  )
  const tenant = `https://login.microsoftonline.com/${tenants[0]}/v2.0`
  t.equal(issuerOf({ preset: 'entra', issuer: tenant }), tenant, 'an app of one tenant')
})

t.test('a value that the preset has no use for is refused (M-01)', async (t) => {
  const google = withPreset({ preset: 'google', clientSecret, realm: 'shop' })
  oneProblem(
    t,
    google,
    'provider.realm',
    'cannot be set: preset google has no use for it; it belongs to keycloak',
  )
  const none = withPreset({ issuer: 'https://as.example', clientSecret, domain: 'as.example' })
  const words = 'cannot be set: it is for presets; it belongs to auth0, okta, keycloak, cognito, gitlab'
  oneProblem(t, none, 'provider.domain', words)
})

t.test('a value that is no part of an address is refused in words (M-01)', async (t) => {
  const auth0 = (domain: unknown) => withPreset({ preset: 'auth0', clientSecret, domain })
  for (const domain of [
    'https://x.auth0.com',
    'x.auth0.com/',
    'X.auth0.com',
    'x@y.com',
    'x.com?a',
    'x.com#',
    '',
  ])
    oneProblem(t, auth0(domain), 'provider.domain', 'must be a host name', domain)
  oneProblem(t, auth0(7), 'provider.domain')
  const cognito = { preset: 'cognito', ...presets.cognito.blanks }
  oneProblem(t, withPreset({ ...cognito, region: 'Frankfurt' }), 'provider.region', 'must be a region of AWS')
  oneProblem(
    t,
    withPreset({ ...cognito, userPoolId: 'a/b' }),
    'provider.userPoolId',
    "must be a user pool's id",
  )
})

t.test('entra: an id_token that is not read would let every tenant in (F-14, M-01)', async (t) => {
  const options = withPreset({ preset: 'entra', clientSecret, tenants, idToken: 'ignore' })
  oneProblem(t, options, 'provider.idToken', 'is ignore, but which tenant')
})

t.test('LinkedIn: its pkce: none does not open the way for id_tokens without a nonce (M-01)', async (t) => {
  const options = withPreset({ preset: 'linkedin', clientSecret, idToken: 'check', nonce: false })
  t.match(problemsOf(options), [/^provider\.nonce: is false and pkce is none/, /^provider\.jwksUri: /])
})

t.test('every key of a preset can be overridden, and a parameter by itself (M-01)', async (t) => {
  const { providers } = resolveOptions(
    withPreset({
      ...{ preset: 'google', clientSecret: 'secret', scope: 'openid' },
      authorizationParams: { prompt: 'select_account', hd: 'example.com' },
    }) as PkceOptions,
  )
  const provider = providers[0]?.options
  t.equal(provider?.scope, 'openid')
  t.same(provider?.authorizationParams, {
    access_type: 'offline',
    prompt: 'select_account',
    hd: 'example.com',
  })
  t.equal(Object.isFrozen(PRESETS.google.options.authorizationParams), false, 'the table is left alone')
})

t.test('an unknown preset suggests the nearest (M-01)', async (t) => {
  const options = (preset: unknown) =>
    withPreset({ preset, clientSecret: 'secret', issuer: 'https://as.example' })
  oneProblem(
    t,
    options('gogle'),
    'provider.preset',
    /^provider\.preset: must be one of google, apple, .*, discord; did you mean "google"\?$/,
  )
  oneProblem(t, options('constructor'), 'provider.preset', 'must be one of')
  oneProblem(t, options(7), 'provider.preset', 'must be one of')
})

t.test('--print-config shows the expansion, and the gateway is made from it (M-01)', async (t) => {
  const provider = { preset: 'github', clientId: 'gateway', clientSecret: 's3cret', scope: 'user:email' }
  const { config, effective } = load(file(t, { ...minimal(), provider }))
  const printed = printConfig(effective)
  t.match(printed, '  preset: github\n')
  t.match(printed, '  tokenEndpoint: https://github.com/login/oauth/access_token\n')
  t.match(printed, '  scope: user:email\n')
  t.notMatch(printed, 's3cret')
  t.match(config.plugin.provider, { subjectClaim: 'id', scope: 'user:email', defaultTokenSeconds: 'never' })
  t.ok(stringify(config.plugin.provider))
})
