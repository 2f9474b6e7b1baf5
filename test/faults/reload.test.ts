/** Ten reloads under load, good and bad, as signals to a process: nobody notices. */
import type { ServerResponse } from 'node:http'
import t from 'tap'
import { Agent, fetch, request } from 'undici'
import { serve } from '../support/gateway-command.ts'
import { startInstances } from '../support/instances.ts'
import { NativeApp } from '../support/native-app.ts'
import { until } from '../support/wait.ts'

t.setTimeout(180_000)

const RELOADS = 10
const CLIENTS = 16

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

for (const workers of [1, 2]) {
  t.test(`${RELOADS} reloads under load with ${workers} processes lose nothing (Q-03, K-07)`, async (t) => {
    const streams: ServerResponse[] = []
    const events = await serve(t, (request, response: ServerResponse) => {
      if (request.url === '/light') return void response.end('ok')
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
      streams.push(response)
    })
    const stack = await startInstances(t, {
      ...{ count: 1, store: 'redis', provider: 'stub' },
      change: (config) => ({
        ...config,
        workers,
        upstreams: [...(config.upstreams ?? []), { prefix: '/events', target: events }],
      }),
    })
    if (typeof stack === 'string') return void t.pass('reload', { skip: stack })
    const { publicUrl } = stack
    const instance = stack.instances[0]!
    const { pid } = instance
    const app = new NativeApp(stack)
    const { access_token } = await app.login()
    const headers = { authorization: `Bearer ${access_token}` }
    const agent = new Agent({ connections: CLIENTS })
    t.teardown(() => agent.destroy())

    let isOver = false
    const counts = { forwards: 0, logins: 0, events: 0 }
    const lost: string[] = []
    const repeat = async (kind: keyof typeof counts, run: () => Promise<unknown>) => {
      while (!isOver) {
        await run().then(
          () => counts[kind]++,
          (error) => lost.push(`${kind}: ${error}`),
        )
      }
    }
    const { host } = new URL(publicUrl)
    const forward = async () => {
      const { statusCode, body } = await request(`${instance.url}/events/light`, {
        headers: { ...headers, host },
        dispatcher: agent,
      })
      const text = await body.text()
      if (statusCode !== 200 || text !== 'ok') throw new Error(`${statusCode} ${text}`)
    }
    const login = async () => {
      const attempt = await app.code()
      await pause(200)
      const answer = await app.redeem(attempt)
      if (answer.status !== 200) throw new Error(answer.text)
    }
    const leave = new AbortController()
    const stream = await fetch(`${publicUrl}/events`, { headers, signal: leave.signal })
    const reader = stream.body!.getReader()
    const listen = async () => {
      if ((await reader.read()).done) throw new Error('it has ended')
      await pause(100)
      streams[0]!.write('data: 2\n\n')
    }
    const load = [
      ...Array.from({ length: CLIENTS }, () => repeat('forwards', forward)),
      ...Array.from({ length: 4 }, () => repeat('logins', login)),
      repeat('events', listen),
    ]

    const lines = (msg: string) =>
      instance
        .log()
        .split('\n')
        .filter((line) => line.includes(msg)).length
    const from = performance.now()
    for (let round = 1; round <= RELOADS; round++) {
      const isGood = round % 2 === 1
      await instance.configure((config) => ({
        ...config,
        limits: { ...config.limits, transactionsPerAddress: 100_000 + round },
        // Every second one has a part that is fine, and one that is not.
        routePrefix: isGood ? '/oauth2' : 'no path',
      }))
      instance.signal('SIGHUP')
      const expected = isGood ? 'configuration reloaded' : 'the one before it stays'
      await until(async () => {
        await pause(20)
        return lines(expected) >= Math.ceil(round / 2)
      })
      await pause(200)
    }
    const seconds = (performance.now() - from) / 1000
    isOver = true
    await Promise.all(load)
    leave.abort()
    t.same(lost, [])
    t.equal(instance.pid, pid)
    t.ok(counts.logins > RELOADS && counts.events > RELOADS)
    t.comment(`${JSON.stringify(counts)}, ${Math.round(counts.forwards / seconds)} forwards a second`)
    await instance.end('SIGTERM')
  })
}
