import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { createServices } from '../../../gateway/app.ts'
import { banner } from '../../../gateway/command/banner.ts'
import { gatewayConfig } from '../../../gateway/config/load.ts'
import { printConfig } from '../../../gateway/config/print.ts'
import type { GatewayInput } from '../../../gateway/config/schemas/gateway.ts'
import { file, load, minimal, problemsOf, secret } from '../../support/gateway-config.ts'

const { provider: _, ...rest } = minimal()
const google = { preset: 'google', clientId: 'gateway', clientSecret: secret }
const loopback = { issuer: 'http://127.0.0.1:4000', clientId: 'gateway', clientSecretFile: 'secret' }
const several = (providers: object, more: object = {}) => ({ ...rest, providers, ...more })

t.test('several providers, with secrets in files that are read again (M-04, F-06)', async (t) => {
  const path = file(t, several({ google, own: loopback }))
  writeFileSync(join(dirname(path), 'secret'), 'first\n', { mode: 0o600 })
  const { config, effective } = load(path)
  t.match(config.plugin.providers, {
    google: { issuer: 'https://accounts.google.com', clientSecret: secret },
    own: { clientSecretFile: join(dirname(path), 'secret'), clientSecret: undefined },
  })
  const { store, options } = createServices(config)
  t.teardown(() => store.close())
  const read = options.providers?.own?.clientSecret as () => Promise<string>
  t.equal(await read(), 'first')
  writeFileSync(join(dirname(path), 'secret'), 'second\n')
  t.equal(await read(), 'second')

  const printed = printConfig(effective)
  t.notMatch(printed, secret)
  t.match(parse(printed), { providers: { google: { name: 'Google', clientSecret: '***' }, own: {} } })

  const words = banner(config, 'http://127.0.0.1:3000', 'http://127.0.0.1:9090')
  t.match(words, /provider google +https:\/\/accounts\.google\.com/)
  t.match(words, 'http://127.0.0.1:3000/oauth2/callback/own (register it at the provider)')
})

t.test('a problem of one of them has its line, and its file (M-04)', async (t) => {
  const path = file(t, several({ google: { ...google, scop: 'openid' }, own: loopback }))
  t.match(problemsOf(path), [
    /^file:\d+:\d+ providers\.google\.scop: is not known here; did you mean "scope"\?$/,
    /^file:\d+:\d+ providers\.own\.clientSecretFile: .*secret cannot be read: ENOENT$/,
  ])
})

t.test('a variable names one of them in upper case (M-04)', async (t) => {
  const path = file(t, several({ google: { preset: 'google', clientId: 'gateway' } }))
  const { config } = load(path, {
    PKCE_GATEWAY_PROVIDERS__GOOGLE__CLIENT_SECRET: secret,
    PKCE_GATEWAY_PROVIDERS__APPLE__CLIENT_ID: 'com.example.gateway',
    PKCE_GATEWAY_PROVIDERS__APPLE__ISSUER: 'https://appleid.apple.com',
    PKCE_GATEWAY_PROVIDERS__APPLE__CLIENT_SECRET: secret,
  })
  t.match(config.plugin.providers, {
    google: { clientSecret: secret },
    apple: { clientId: 'com.example.gateway' },
  })
  t.match(problemsOf(path, { PKCE_GATEWAY_PROVIDERS__GOOGLE__CLIENT_SECRT: secret }), [
    /^file:\d+:\d+ providers\.google\.clientSecret: is required/,
    /^PKCE_GATEWAY_PROVIDERS__GOOGLE__CLIENT_SECRT: is not known/,
  ])
})

t.test('an upstream that knows people by sub alone is told of, where there are several (M-05)', async (t) => {
  const upstream = { prefix: '/api', target: 'http://127.0.0.1:5000' }
  const warningsOf = (identityHeaders: object, providers: object) => {
    const input = several(providers, { upstreams: [{ ...upstream, identityHeaders }] })
    return gatewayConfig(input as GatewayInput).warnings.filter((warning) => /sub without iss/.test(warning))
  }
  const own = { issuer: 'http://127.0.0.1:4000', clientId: 'gateway', clientSecret: secret }
  t.equal(warningsOf({ 'x-user': 'sub' }, { google, own }).length, 1)
  t.equal(warningsOf({ 'x-user': 'sub', 'x-issuer': 'iss' }, { google, own }).length, 0)
  t.equal(warningsOf({ 'x-user': 'sub' }, { own }).length, 0)
})
