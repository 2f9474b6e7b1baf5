import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { stringify } from 'yaml'
import { printConfig } from '../../../../../gateway/config/print.ts'
import { type PkceOptions, resolveOptions } from '../../../../../plugin/index.ts'
import { PRESET_NAMES, PRESETS } from '../../../../../plugin/options/provider/presets/presets.ts'
import { file, load, minimal } from '../../../../support/gateway-config.ts'
import { least, oneProblem, problemsOf } from '../../../../support/plugin-options.ts'

const p8 = String(
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
)
const tenants = ['aaaaaaaa-0000-4000-8000-000000000001']
/** What each preset leaves to whoever uses it. */
const blanks = {
  google: { clientSecret: 'secret' },
  apple: { teamId: 'ABCDE12345', keyId: 'KEY1234567', privateKey: p8 },
  entra: { clientSecret: 'secret', tenants },
  github: { clientSecret: 'secret' },
}
const withPreset = (provider: object) => ({ ...least(), provider: { clientId: 'backend', ...provider } })

for (const preset of PRESET_NAMES) {
  t.test(`${preset}: its blanks make it complete, and without code (M-01)`, async (t) => {
    t.same(problemsOf(withPreset({ preset, ...blanks[preset] })), [])
    const { providers, warnings } = resolveOptions(withPreset({ preset, ...blanks[preset] }) as PkceOptions)
    t.match(providers[0]?.options, { preset, clientId: 'backend', ...PRESETS[preset].options })
    t.same(warnings, [])
    t.same(JSON.parse(JSON.stringify(PRESETS[preset])), PRESETS[preset], 'plain data')
  })

  t.test(`${preset}: a blank that is missing is named (M-01)`, async (t) => {
    for (const blank of Object.keys(blanks[preset])) {
      const options = withPreset({ preset, ...blanks[preset], [blank]: undefined })
      oneProblem(t, options, `provider.${blank}`, /is required: (?:clientAuthentication|preset) is /)
    }
  })
}

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
    'must be one of google, apple, entra, github; did you mean "google"?',
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
