/** `/metrics` of several processes, and of one that cannot count. */
import t from 'tap'
import { compiledGateway } from '../../../support/compiled-gateway.ts'
import { Command, configFile, send, values } from '../../../support/gateway-command.ts'
import { isAlive, trap } from '../../../support/gateway-workers.ts'
import { startInstances } from '../../../support/instances.ts'
import { metricOf, scrape } from '../../../support/metrics-scrape.ts'
import { NativeApp } from '../../../support/native-app.ts'
import { noRedis } from '../../../support/redis-server.ts'
import { until } from '../../../support/wait.ts'

t.setTimeout(240_000)

t.test(
  'workers are counted together, and the end of one takes nothing away (Q-04)',
  { skip: noRedis },
  async (t) => {
    const stack = await startInstances(t, {
      count: 1,
      store: 'redis',
      provider: 'stub',
      change: (config) => ({ ...config, workers: 2 }),
    })
    if (typeof stack === 'string') return void t.pass('workers', { skip: stack })
    const gateway = stack.instances[0]!
    const app = new NativeApp(stack)
    const { access_token } = await app.login()
    const { host } = new URL(stack.publicUrl)
    const call = () =>
      send(`${gateway.url}/api/orders`, { headers: { host, authorization: `Bearer ${access_token}` } })
    for (let i = 0; i < 10; i++) t.equal((await call()).status, 200)
    const before = await scrape(gateway.adminUrl)
    t.equal(before.value('pkce_requests_total', { route: '/api', status: '2xx' }), 10, 'of both')
    t.equal(before.value('pkce_serving_processes'), 2)
    t.equal(before.value('pkce_login_steps_total', { step: 'redeemed', outcome: 'ok' }), 1)
    t.equal(before.value('pkce_login_steps_total', { step: 'first_call', outcome: 'ok' }), 1, 'once, on any')
    t.equal(before.value('pkce_build_info'), 1)

    const workers = new Set(
      gateway
        .log()
        .split('\n')
        .filter((line) => line.includes('Server listening'))
        .map((line) => Number(JSON.parse(line).pid)),
    )
    const [victim] = workers
    process.kill(victim!, 'SIGKILL')
    await until(() => !isAlive(victim!))
    await until(async () => (await scrape(gateway.adminUrl)).value('pkce_serving_processes') === 2)
    const after = await scrape(gateway.adminUrl)
    const lost = before.samples.filter(
      ({ name, labels, value }) =>
        ['counter', 'histogram'].includes(before.types.get(metricOf(name, before.types))!) &&
        // A sum of the same seconds in another order ends in other digits.
        after.value(name, labels) < value - 1e-9,
    )
    t.same(lost, [])
    t.equal((await call()).status, 200)
    t.equal(
      (await scrape(gateway.adminUrl)).value('pkce_requests_total', { route: '/api', status: '2xx' }),
      11,
    )
  },
)

const WITHOUT = trap(`import Module from 'node:module'
const resolve = Module._resolveFilename
Module._resolveFilename = (name, ...rest) => {
  if (name === 'prom-client') throw Object.assign(new Error('none'), { code: 'MODULE_NOT_FOUND' })
  return resolve.call(Module, name, ...rest)
}`)

t.test(
  'without prom-client the gateway starts, and /metrics says what to install (Q-04, SC-10)',
  async (t) => {
    const command = new Command(t, ['--config', configFile(t, values())], {
      program: [await compiledGateway()],
      nodeArgs: [WITHOUT],
    })
    const { adminUrl } = await command.ready()
    const { status, body } = await send(`${adminUrl}/metrics`)
    t.equal(status, 501)
    t.equal(body, 'prom-client is not installed: npm install prom-client@15\n')
    const told = command.log().filter(({ msg }) => String(msg).includes('prom-client'))
    t.same(
      told.map(({ level, msg }) => ({ level, msg })),
      [{ level: 30, msg: `/metrics answers 501, and nothing is counted: ${body.trim()}` }],
    )
  },
)

t.test('admin.metrics: false: there is no /metrics', async (t) => {
  const admin = { host: '127.0.0.1', port: 0, metrics: false }
  const command = new Command(t, ['--config', configFile(t, values({ admin }))], {
    program: [await compiledGateway()],
  })
  const { adminUrl } = await command.ready()
  t.equal((await send(`${adminUrl}/metrics`)).status, 404)
})
