import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { createServices } from '../../../gateway/app.ts'
import { printConfig } from '../../../gateway/config/print.ts'
import { selfSigned } from '../../support/certificate.ts'
import { file, load, minimal, problemsOf, secret, upstream } from '../../support/gateway-config.ts'
import { resourcesMadeBy } from '../../support/resources.ts'

/** A server secret that holds. */
const sealing = Buffer.alloc(32, 7).toString('base64url')

t.test(
  'the configuration is plain data: another process gets the same of it, whatever becomes of files',
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

    const again: typeof config = JSON.parse(JSON.stringify(config))
    t.same(again, config)
    t.same(structuredClone(config), config, 'no function, no class, nothing alive')
    t.match(config.plugin.provider, { clientSecretFile: join(folder, 'a'), clientSecret: undefined })
    for (const value of valuesIn(config)) {
      t.ok(typeof value !== 'function' && typeof value !== 'undefined')
      if (typeof value !== 'object' || value === null) continue
      t.ok([Object.prototype, Array.prototype].includes(Object.getPrototypeOf(value)))
      t.ok(Object.isFrozen(value))
    }

    const services = createServices(again)
    t.teardown(() => services.store.close())
    t.match(services.options, {
      publicUrl: 'https://gateway.example',
      clients: [{ clientSecret: `${secret}b` }],
      resourceServers: [{ clientSecret: `${secret}c` }],
      secrets: ['a'.repeat(43), 'b'.repeat(43)],
      limits: { transactions: 7 },
    })
    t.equal(services.store.store.name, 'redis')
    writeFileSync(join(folder, 'a'), 'rotated')
    t.equal(await (services.options.provider?.clientSecret as () => Promise<string>)?.(), 'rotated')
  },
)

/** The value itself, and everything in it. */
function valuesIn(value: unknown): unknown[] {
  return typeof value === 'object' && value !== null
    ? [value, ...Object.values(value).flatMap(valuesIn)]
    : [value]
}

t.test('loading leaves nothing behind: no store, no timer, no connection', async (t) => {
  const shared = { ...minimal(), secrets: [sealing] }
  const made = resourcesMadeBy(() => {
    load(file(t, minimal()))
    problemsOf(file(t, { ...minimal(), publicUrl: 'http://example.com' }))
    load(file(t, { ...shared, store: { type: 'redis', url: 'redis://127.0.0.1:1' } }))
    load(file(t, { ...shared, store: { type: 'postgres', url: 'postgres://127.0.0.1:1/a' } }))
  })
  t.same(made, [])
})
