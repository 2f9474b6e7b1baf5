/**
 * Instances that are restarted one after the other behind a balancer: nobody notices (K-07).
 *
 * Lost is: a request without its right answer; an event stream or a WebSocket that is refused, reset, or gets no answer
 * to its handshake; one that ends while no instance is being restarted; one that ends without its proper end, which is the
 * last chunk of the event stream, and a close frame 1001 with the whole closing handshake of the WebSocket (RFC 6455
 * §7.1.4); and a message of a WebSocket that comes back wrong. Not lost is a stream that ends properly with its
 * instance: its client opens it again at once, and that first attempt must succeed.
 */
import type { ServerResponse } from 'node:http'
import t from 'tap'
import { fetch, WebSocket } from 'undici'
import { serve } from '../support/gateway-command.ts'
import { startInstances } from '../support/instances.ts'
import { NativeApp } from '../support/native-app.ts'
import { until } from '../support/wait.ts'
import { echo } from '../support/websocket.ts'
import { RawUpstream } from '../support/wire.ts'
import { Load, pause } from './load.ts'

t.setTimeout(180_000)

const CHECK_MS = 500
/** Two checks, and what the last of them takes. */
const DELAY_MS = 1500
const REQUESTS_MIN = 2500
const STREAMS = 3
const WEBSOCKETS = 3
/** Between the messages of a WebSocket. */
const MESSAGE_MS = 20

t.test('a rolling restart of three under load loses nothing, twice (K-07, H-29, H-30)', async (t) => {
  const events = await serve(t, (_request, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
  })
  const sockets = new RawUpstream()
  sockets.respond = echo
  const socketsOrigin = await sockets.listen()
  t.teardown(() => sockets.close())
  const stack = await startInstances(t, {
    store: 'redis',
    provider: 'stub',
    change: (config) => ({
      ...config,
      shutdown: { delayMs: DELAY_MS },
      upstreams: [
        ...(config.upstreams ?? []),
        { prefix: '/events', target: events },
        { prefix: '/sockets', target: socketsOrigin, websocket: true },
      ],
    }),
  })
  if (typeof stack === 'string') return void t.pass('rolling restart', { skip: stack })
  const { instances, balancer, publicUrl } = stack

  // The balancer's own view of who is ready, as old as its last check.
  let isChecking = true
  const checking = (async () => {
    while (isChecking) {
      const ready = await Promise.all(instances.map((instance) => instance.isReady()))
      balancer.use(...[...instances.keys()].filter((index) => ready[index]))
      await pause(CHECK_MS)
    }
  })()

  const load = new Load(['forwards', 'logins', 'streams', 'sockets'])
  /** An instance is being restarted, so streams may end. */
  let isMoving = false
  const app = new NativeApp(stack)
  const { access_token } = await app.login()
  const headers = { authorization: `Bearer ${access_token}` }
  const mayHaveEnded = (what: string) => {
    if (!isMoving && !load.isOver) throw new Error(`${what} has ended without a reason`)
  }

  load.start('forwards', 6, async () => {
    const answer = await fetch(`${publicUrl}/api/orders`, { headers })
    const { path } = JSON.parse(await answer.text())
    if (answer.status !== 200 || !path.endsWith('/orders')) throw new Error(`${answer.status}`)
    await pause(5)
  })
  load.start('logins', 1, async () => {
    await app.login()
    await pause(100)
  })
  load.start('streams', STREAMS, async () => {
    const answer = await fetch(`${publicUrl}/events`, { headers })
    if (answer.status !== 200) throw new Error(`${answer.status}`)
    // Rejects unless the last chunk has come.
    await answer.text()
    mayHaveEnded('an event stream')
  })
  let messages = 0
  load.start('sockets', WEBSOCKETS, async () => {
    const socket = new WebSocket(`${publicUrl.replace('http', 'ws')}/sockets`, { headers })
    await new Promise<void>((resolve, reject) => {
      let sent = 0
      const send = () => socket.send(`message ${++sent}`)
      socket.addEventListener('open', send)
      socket.addEventListener('message', async ({ data }) => {
        if (data !== `message ${sent}`) reject(new Error(`${data} instead of message ${sent}`))
        messages++
        await pause(MESSAGE_MS)
        if (socket.readyState === WebSocket.OPEN) send()
      })
      socket.addEventListener('close', ({ code, wasClean }) => {
        if (sent > 0 && code === 1001 && wasClean) resolve()
        else
          reject(new Error(`closed with ${code}${wasClean ? '' : ', not cleanly'}, after ${sent} messages`))
      })
    })
    mayHaveEnded('a WebSocket')
  })

  for (let round = 0; round < 2; round++) {
    for (const instance of instances) {
      isMoving = true
      await instance.end('SIGTERM')
      await instance.start()
      isMoving = false
      await pause(2 * CHECK_MS)
    }
  }
  await until(() => load.counts.forwards > REQUESTS_MIN)
  // Ordinary clients first: the streams end with their instances.
  const over = load.end()
  await pause(2 * CHECK_MS)
  await Promise.all(instances.map((instance) => instance.end('SIGTERM')))
  await over
  isChecking = false
  await checking
  t.same(load.lost, [])
  // Wherever a stream is, its instance is restarted once in a round.
  t.ok(load.counts.streams >= 2 * STREAMS, 'event streams have moved')
  t.ok(load.counts.sockets >= 2 * WEBSOCKETS, 'WebSockets have moved')
  t.ok(messages > 100 * WEBSOCKETS, 'and were used')
  t.comment(`${JSON.stringify(load.counts)}, ${messages} messages on WebSockets`)
})
