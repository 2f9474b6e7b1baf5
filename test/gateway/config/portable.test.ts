import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { gatewayConfig } from '../../../gateway/config/load.ts'
import { printConfig } from '../../../gateway/config/print.ts'
import { selfSigned } from '../../support/certificate.ts'
import { load, minimal, secret, upstream } from '../../support/gateway-config.ts'

t.test(
  'another process makes the same configuration of its portable form, whatever becomes of files',
  async (t) => {
    const folder = t.testdir({
      a: secret,
      b: `${secret}b`,
      c: `${secret}c`,
      list: `${'a'.repeat(43)}\n${'b'.repeat(43)}\n`,
      url: 'redis://127.0.0.1:1',
      ...Object.fromEntries(
        Object.entries(selfSigned('gateway.example')).map(([name, pem]) => [`${name}.pem`, pem]),
      ),
      'gateway.yaml': stringify({
        ...minimal(),
        publicUrl: 'https://gateway.example',
        listen: { port: 0, tls: { certFile: 'cert.pem', keyFile: 'key.pem' } },
        workers: 3,
        provider: { issuer: 'http://127.0.0.1:4000', clientId: 'gateway', clientSecretFile: 'a' },
        clients: [{ ...minimal().clients[0], authentication: 'client_secret_basic', clientSecretFile: 'b' }],
        resourceServers: [{ clientId: 'rs', clientSecretFile: 'c' }],
        secretsFile: 'list',
        store: { type: 'redis', urlFile: 'url' },
        allowedHosts: ['API.example'],
        upstreams: [
          upstream,
          {
            ...upstream,
            prefix: '/api/long',
            websocket: true,
            identityHeaders: { 'X-Sub': 'sub' },
            methods: ['GET'],
          },
          {
            ...upstream,
            prefix: '/open',
            public: true,
            target: ['http://127.0.0.1:1/', 'http://127.0.0.1:2'],
          },
        ],
        rateLimit: false,
        limits: { transactions: 7 },
      }),
    })
    const { config, effective } = load(join(folder, 'gateway.yaml'))
    t.notMatch(printConfig(effective), secret)
    for (const name of ['b', 'c', 'list', 'url', 'gateway.yaml']) rmSync(join(folder, name))

    const again = gatewayConfig(JSON.parse(JSON.stringify(config.portable)))
    const comparable = ({ portable: _, warnings: __, store: ___, plugin, ...around }: typeof config) => {
      const { store, provider, ...options } = plugin
      return { ...around, ...options, provider: { ...provider, clientSecret: null }, store: store?.name }
    }
    t.same(comparable(again), { ...comparable(config), workers: 1 })
    writeFileSync(join(folder, 'a'), 'rotated')
    t.equal(await (again.plugin.provider.clientSecret as () => Promise<string>)(), 'rotated')
  },
)
