import { availableParallelism } from 'node:os'
import t from 'tap'
import { stringify } from 'yaml'
import { createServices } from '../../../gateway/app.ts'
import type { Environment } from '../../../gateway/config/environment.ts'
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
