import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { createServices } from '../../../gateway/app.ts'
import type { Environment } from '../../../gateway/config/environment.ts'
import { printConfig } from '../../../gateway/config/print.ts'
import { selfSigned } from '../../support/certificate.ts'
import { file, load, matchAll, minimal, problemsOf, secret, upstream } from '../../support/gateway-config.ts'

/** A server secret that holds. */
const sealing = Buffer.alloc(32, 7).toString('base64url')

t.test('a shared store needs its URL, and a URL that leads somewhere (issue: bad input)', async (t) => {
  const shared = (store: object) => problemsOf(file(t, { ...minimal(), secrets: [sealing], store }))
  matchAll(t, shared({ type: 'redis' }), [/store\.url: is required: type is redis$/])
  matchAll(t, shared({ type: 'postgres' }), [/store\.url: is required: type is postgres$/])
  matchAll(t, shared({ type: 'memory', url: 'redis://h' }), [
    /store\.url: must be absent: the memory store has none$/,
  ])
  matchAll(t, shared({ type: 'redis', url: 'redis://h', listenUrl: 'x' }), [
    /store\.listenUrl: must be absent/,
  ])
  for (const type of ['redis', 'postgres']) {
    const [problem, ...others] = shared({ type, url: `http://:${secret}@h` })
    t.match(problem, /^file:\d+:\d+ store\.url: /)
    t.same(others, [])
    t.notMatch(problem, secret)
  }
  const { config } = load(
    file(t, { ...minimal(), secrets: [sealing], store: { type: 'redis', url: `redis://:${secret}@h` } }),
  )
  t.same(config.store, { type: 'redis', url: `redis://:${secret}@h` })
  const { store } = createServices(config)
  t.equal(store.store.name, 'redis')
  await store.close()
})

t.test(
  'what only some kinds of store have is told of the others, and its files are tried (Q-07)',
  async (t) => {
    const [own, other] = [selfSigned('app'), selfSigned('app')]
    const folder = t.testdir({
      'ca.pem': own.cert,
      'app.pem': own.cert,
      'app.key': own.key,
      'other.key': other.key,
      password: secret,
      url: `postgres://u:${secret}@h/db`,
    })
    const at = (name: string) => join(folder, name)
    const configured = (store: object) => {
      writeFileSync(at('gateway.yaml'), stringify({ ...minimal(), secrets: [sealing], store }))
      return at('gateway.yaml')
    }
    const shared = (store: object) => problemsOf(configured(store))
    matchAll(t, shared({ caFile: at('ca.pem'), sentinelUsername: 'u' }), [
      /store\.caFile: must be absent: only redis and postgres have one$/,
      /store\.sentinelUsername: must be absent: only redis has one$/,
    ])
    matchAll(
      t,
      shared({ type: 'redis', url: 'redis://h', caFile: at('ca.pem'), sentinelPasswordFile: at('password') }),
      [
        /store\.caFile: needs TLS: url must begin with rediss$/,
        /store\.sentinelPasswordFile: needs Sentinels: url must begin with redis\+sentinel or rediss\+sentinel$/,
      ],
    )
    const redis = { type: 'redis', url: 'rediss://h' }
    matchAll(t, shared({ ...redis, caFile: at('app.key') }), [
      /store\.caFile: \S+app\.key is no list of certificates \(PEM\)$/,
    ])
    matchAll(t, shared({ ...redis, caFile: at('none') }), [/store\.caFile: \S+none cannot be read: ENOENT$/])
    matchAll(t, shared({ ...redis, clientCertFile: at('app.pem') }), [
      /store\.clientCertFile: needs clientKeyFile/,
    ])
    matchAll(t, shared({ ...redis, clientKeyFile: at('app.key') }), [
      /store\.clientKeyFile: needs clientCertFile/,
    ])
    matchAll(t, shared({ ...redis, clientCertFile: at('app.pem'), clientKeyFile: at('other.key') }), [
      /store\.clientKeyFile: \S+other\.key is not the private key of the certificate$/,
    ])

    const trust = { caFile: at('ca.pem'), clientCertFile: at('app.pem'), clientKeyFile: at('app.key') }
    const sentinel = {
      type: 'redis',
      url: 'rediss+sentinel://h/main',
      ...trust,
      sentinelUsername: 'watcher',
      sentinelPasswordFile: at('password'),
    }
    const loaded = load(configured(sentinel))
    t.same(loaded.config.store, {
      type: 'redis',
      url: 'rediss+sentinel://h/main',
      trust,
      sentinelUsername: 'watcher',
      sentinelPassword: secret,
    })
    const plain = load(configured({ ...sentinel, sentinelPasswordFile: undefined, sentinelPassword: secret }))
    t.notMatch(printConfig(plain.effective), secret, 'it is not shown')
    const files = { urlFile: at('url'), listenUrlFile: at('url') }
    const postgres = load(configured({ type: 'postgres', ...files, caFile: at('ca.pem') }))
    const url = `postgres://u:${secret}@h/db`
    t.same(postgres.config.store, {
      type: 'postgres',
      ...files,
      url,
      listenUrl: url,
      trust: { caFile: at('ca.pem') },
    })
    for (const { config } of [loaded, postgres]) await createServices(config).store.close()
  },
)

t.test(
  "a shared store without server secrets is refused: instances must open each other's seals",
  async (t) => {
    const problems = problemsOf(file(t, { ...minimal(), store: { type: 'redis', url: 'redis://h' } }))
    matchAll(t, problems, [/secrets: is required unless the store is memory/])
  },
)

t.test('what can be built but hardly be meant gives a warning', async (t) => {
  const odd = { ...upstream, scopes: ['orders.write'], identityHeaders: { 'x-mail': 'email' } }
  t.match(load(file(t, { ...minimal(), upstreams: [odd] })).config.warnings, [
    /no client may have the scope orders\.write/,
    /no client has the claim email/,
  ])
})

t.test('workers: a number, or one for each core; by the environment too', async (t) => {
  const shared = { ...minimal(), secrets: [sealing], store: { type: 'redis', url: 'redis://127.0.0.1:1' } }
  const workers = (value: unknown, environment: Environment = {}) =>
    load(file(t, { ...shared, workers: value }), environment).config.workers
  t.equal(workers(3), 3)
  t.equal(workers('auto'), availableParallelism())
  t.equal(workers(3, { PKCE_GATEWAY_WORKERS: '2' }), 2)
  t.equal(workers(3, { PKCE_GATEWAY_WORKERS: 'auto' }), availableParallelism())
  for (const value of [0, 257, 1.5, '2', 'many', true, [2]]) {
    matchAll(t, problemsOf(file(t, { ...shared, workers: value })), [
      /^file:\d+:\d+ workers: must be (at least 1|at most 256|a whole number or auto)$/,
    ])
  }
  t.same(problemsOf(file(t, shared), { PKCE_GATEWAY_WORKERS: 'many' }), [
    'PKCE_GATEWAY_WORKERS: must be a whole number or auto',
  ])
})

t.test(
  'several workers are refused with the memory store, which none of them could share (G-13)',
  async (t) => {
    for (const workers of [2, 'auto']) {
      t.same(problemsOf(file(t, `workers: ${workers}\n${stringify(minimal())}`)), [
        'file:1:1 workers: must be 1 with the memory store, which no other process can see; or set store.type to redis or postgres',
      ])
    }
  },
)

t.test('the listeners must differ (H-31)', async (t) => {
  const same = { listen: { host: '0.0.0.0', port: 9090 }, admin: { host: '127.0.0.1', port: 9090 } }
  matchAll(t, problemsOf(file(t, { ...minimal(), ...same })), [/admin\.port: must differ from listen's$/])
  const any = { listen: { port: 0 }, admin: { port: 0 } }
  t.same(problemsOf(file(t, { ...minimal(), ...any })), [])
})
