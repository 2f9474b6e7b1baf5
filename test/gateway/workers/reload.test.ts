/** SIGHUP with workers: all of them swap, or none, and those that come later have what the others have. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import type { GatewayInput } from '../../../gateway/config/schemas/gateway.ts'
import { compiledGateway } from '../../support/compiled-gateway.ts'
import { Command, send, serve, values } from '../../support/gateway-command.ts'
import { isAlive, secrets, workersOf } from '../../support/gateway-workers.ts'
import { noRedis, startRedis } from '../../support/redis-server.ts'
import { startStubProvider } from '../../support/stub-provider.ts'
import { until } from '../../support/wait.ts'

t.setTimeout(120_000)

t.test('a reload with workers is whole (Q-03, K-07)', { skip: noRedis }, async (t) => {
  const [redis, stub] = await Promise.all([startRedis(), startStubProvider()])
  t.teardown(() => Promise.all([redis.stop(), stub.close()]))
  const target = await serve(t, (_request, response) => void response.end('ok'))
  const path = join(t.testdir({}), 'gateway.yaml')
  const provider = { ...values().provider, issuer: stub.issuer }
  const store = { type: 'redis' as const, url: redis.url }
  const upstream = (prefix: string) => ({ prefix, target, public: true })
  const write = (more: Partial<GatewayInput>) =>
    writeFileSync(path, stringify(values({ workers: 2, secrets, store, provider, ...more })))
  write({ upstreams: [upstream('/a')] })
  const command = new Command(t, ['--config', path], { program: [await compiledGateway()] })
  const { url } = await command.ready()
  const workers = await workersOf(command)
  // Connections go to the workers in turn.
  const statuses = async (prefix: string) => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => send(`${url}${prefix}`)))
    return [...new Set(answers.map(({ status }) => status))]
  }

  // What only the workers can find out.
  write({ upstreams: [upstream('/b')], provider: { ...provider, issuer: 'http://127.0.0.1:2' } })
  command.child.kill('SIGHUP')
  t.match(await command.logged('the configuration cannot be used; the one before it stays'), {
    pid: command.pid,
    problems: [/gateway\.yaml:\d+:\d+ provider\.issuer: http:\/\/127\.0\.0\.1:2 cannot be reached/],
  })
  t.same([await statuses('/a'), await statuses('/b')], [[200], [404]])

  write({ upstreams: [upstream('/c')] })
  command.child.kill('SIGHUP')
  t.match(await command.logged('configuration reloaded'), {
    pid: command.pid,
    changes: [/\[\/a\]/, /\[\/c\]/],
  })
  await until(async () => (await statuses('/c')).join() === '200')
  t.same(await statuses('/a'), [404])
  t.ok(workers.every(isAlive), 'in the same processes')

  process.kill(workers[0]!, 'SIGKILL')
  await workersOf(command, 3)
  await until(async () => (await statuses('/c')).join() === '200')
  t.same(await statuses('/a'), [404], 'the new one begins with what is current')
  command.child.kill('SIGTERM')
  t.equal(await command.exited, 0)
})
