import t from 'tap'
import { parse } from 'yaml'
import { printConfig } from '../../../gateway/config/print.ts'
import { file, load, minimal, problemsOf, secret, upstream } from '../../support/gateway-config.ts'

t.test('no message and no print holds a secret (J-01)', async (t) => {
  const values = {
    ...minimal(),
    provider: { ...minimal().provider, clientSecret: [secret], privateKey: { k: secret } },
    clients: [{ ...minimal().clients[0], clientSecret: secret }],
    resourceServers: [{ clientId: 'rs', clientSecret: secret, [secret.slice(0, 3)]: 1 }],
    secrets: [secret],
    store: { type: 'redis', url: `http://:${secret}@h` },
  }
  const problems = problemsOf(file(t, values))
  t.ok(problems.length >= 3)
  t.notMatch(problems.join('\n'), secret)

  const usable = {
    ...minimal(),
    clients: [{ ...minimal().clients[0], authentication: 'client_secret_post', clientSecret: secret }],
    resourceServers: [{ clientId: 'rs', clientSecret: secret }],
    secrets: [Buffer.from(secret.repeat(2)).toString('base64url')],
  }
  const printed = printConfig(load(file(t, usable)).effective)
  t.notMatch(printed, secret)
  t.notMatch(printed, usable.secrets[0])
  t.match(parse(printed), {
    provider: { clientSecret: '***' },
    clients: [{ clientSecret: '***' }],
    resourceServers: [{ clientSecret: '***' }],
    secrets: ['***'],
  })
})

t.test('the print is the effective configuration and loads again', async (t) => {
  const { config, effective } = load(file(t, { ...minimal(), upstreams: [upstream] }), {
    PKCE_GATEWAY_LISTEN__PORT: '3001',
  })
  const again = load(file(t, printConfig(effective))).config
  t.same(again.upstreams, config.upstreams)
  t.same(again.listen, config.listen)
  t.same(again.plugin.clients, config.plugin.clients)
})
