/** Instances that are restarted one after the other behind a balancer: nobody notices (K-07). */
import type { ServerResponse } from 'node:http'
import t from 'tap'
import { fetch } from 'undici'
import { serve } from '../support/gateway-command.ts'
import { startInstances } from '../support/instances.ts'
import { NativeApp } from '../support/native-app.ts'
import { until } from '../support/wait.ts'

t.setTimeout(180_000)

const CHECK_MS = 500
/** Two checks, and what the last of them takes. */
const DELAY_MS = 1500
const REQUESTS_MIN = 2500

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

t.test('a rolling restart of three under load loses nothing, twice (K-07)', async (t) => {
  const events = await serve(t, (_request, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
  })
  const stack = await startInstances(t, {
    store: 'redis',
    provider: 'stub',
    change: (config) => ({
      ...config,
      shutdown: { delayMs: DELAY_MS },
      upstreams: [...(config.upstreams ?? []), { prefix: '/events', target: events }],
    }),
  })
  if (typeof stack === 'string') return void t.pass('rolling restart', { skip: stack })
  const { instances, balancer, publicUrl } = stack

  // The balancer's own view of who is ready, as old as its last check.
  let isOver = false
  const checking = (async () => {
    while (!isOver) {
      const ready = await Promise.all(instances.map((instance) => instance.isReady()))
      balancer.use(...[...instances.keys()].filter((index) => ready[index]))
      await pause(CHECK_MS)
    }
  })()

  const counts = { forwards: 0, logins: 0, streams: 0 }
  const lost: string[] = []
  const app = new NativeApp(stack)
  const { access_token } = await app.login()
  const headers = { authorization: `Bearer ${access_token}` }
  const repeat = async (kind: keyof typeof counts, run: () => Promise<unknown>) => {
    while (!isOver) {
      try {
        await run()
        counts[kind]++
      } catch (error) {
        lost.push(`${kind}: ${error}`)
      }
    }
  }
  const forward = async () => {
    const answer = await fetch(`${publicUrl}/api/orders`, { headers })
    const { path } = JSON.parse(await answer.text())
    if (answer.status !== 200 || !path.endsWith('/orders')) throw new Error(`${answer.status}`)
    await pause(5)
  }
  const login = async () => {
    await app.login()
    await pause(100)
  }
  // It ends when its instance goes, and it must end well: then its client comes again by itself.
  const listen = async () => {
    const leave = new AbortController()
    const answer = await fetch(`${publicUrl}/events`, { headers, signal: leave.signal })
    if (answer.status !== 200) throw new Error(`${answer.status}`)
    try {
      for await (const _event of answer.body!) if (isOver) leave.abort()
    } catch (error) {
      if (!isOver) throw error
    }
  }
  const load = [
    ...Array.from({ length: 6 }, () => repeat('forwards', forward)),
    repeat('logins', login),
    ...Array.from({ length: 3 }, () => repeat('streams', listen)),
  ]

  for (let round = 0; round < 2; round++) {
    for (const instance of instances) {
      await instance.end('SIGTERM')
      await instance.start()
      await pause(2 * CHECK_MS)
    }
  }
  await until(() => counts.forwards > REQUESTS_MIN)
  isOver = true
  await Promise.all(instances.map((instance) => instance.end('SIGTERM')))
  await Promise.all([checking, ...load])
  t.same(lost, [])
  t.ok(counts.streams >= 6, 'each restart has moved some streams')
  t.comment(JSON.stringify(counts))
})
