import { once } from 'node:events'
import t from 'tap'
import { Agent, buildConnector, type CloseEvent, type MessageEvent, WebSocket } from 'undici'
import type { Session } from '../../../../plugin/index.ts'
import { HOST } from '../../../support/forwarder.ts'
import { until } from '../../../support/wait.ts'
import {
  acceptHandshake,
  BINARY,
  CLOSE,
  connected,
  echo,
  frame,
  framesOf,
  handshake,
  PING,
  PONG,
  receive,
  TEXT,
} from '../../../support/websocket.ts'
import { ORIGIN, options, setUp } from '../../../support/websocket-forwarder.ts'
import { exchange, type Responder, WireClient } from '../../../support/wire.ts'

/** A client that is not ours. */
function browser(port: number, protocols: string[] = []): WebSocket {
  const connect = buildConnector({})
  const dispatcher = new Agent({
    connect: (to, done) => connect({ ...to, hostname: '127.0.0.1', port: String(port) }, done),
  })
  const headers = { authorization: 'Bearer good', origin: ORIGIN }
  const client = new WebSocket(`ws://${HOST}/api/ws`, { protocols, headers, dispatcher })
  client.binaryType = 'arraybuffer'
  return client
}

async function nextMessage(client: WebSocket): Promise<unknown> {
  const [event] = (await once(client, 'message')) as [MessageEvent]
  return event.data
}

t.test('a WebSocket client talks to its upstream: text, binary, large, the closing (RFC 6455)', async (t) => {
  const { port, allGone } = await setUp(t, echo, { websocket: { ...options, maxMessageBytes: 20_000_000 } })
  const client = browser(port, ['chat', 'other'])
  await once(client, 'open')
  t.equal(client.protocol, 'chat', 'the subprotocol is negotiated end to end')
  client.send('hällo')
  t.equal(await nextMessage(client), 'hällo')
  const large = Buffer.alloc(10_000_000, 'fastify-pkce')
  client.send(large)
  t.ok(Buffer.from((await nextMessage(client)) as ArrayBuffer).equals(large), '10 MB byte for byte')
  client.close(4001, 'bye')
  const [closing] = (await once(client, 'close')) as [CloseEvent]
  t.match(closing, { code: 4001, reason: 'bye', wasClean: true })
  await allGone()
})

t.test('whichever side goes, the other one goes too, and no socket is left', async (t) => {
  const ways = ['end', 'destroy', 'resetAndDestroy'] as const
  for (const leave of ways) {
    const { port, api, allGone } = await setUp(t)
    const first = await connected(port)
    first.socket[leave]()
    await allGone()
    const second = await connected(port)
    for (const socket of api.sockets) socket[leave]()
    await second.untilClose()
    second.socket.destroy()
    await allGone()
    t.pass(leave)
  }
})

t.test('frames pass as they are: fragmented, coalesced, torn apart, control frames between', async (t) => {
  const received: Buffer[] = []
  const { port } = await setUp(t, (socket, request) => {
    acceptHandshake(socket, request)
    socket.on('data', (chunk) => received.push(chunk))
  })
  const client = await connected(port)
  const sent = Buffer.concat([
    frame(TEXT, 'one ', { fin: false, mask: true }),
    frame(PING, 'ping', { mask: true }),
    frame(0, 'message', { mask: true }),
    frame(BINARY, Buffer.alloc(70_000, 7), { mask: true }),
    frame(PONG, '', { mask: true }),
  ])
  for (const byte of sent.subarray(0, 40)) {
    client.send(Buffer.from([byte]))
    await new Promise(setImmediate)
  }
  client.send(sent.subarray(40))
  await until(() => Buffer.concat(received).length >= sent.length)
  t.ok(Buffer.concat(received).equals(sent))
  client.socket.destroy()
})

t.test('what the upstream sends along with its 101 is not lost', async (t) => {
  const { port } = await setUp(t, (socket, request) => {
    socket.cork()
    acceptHandshake(socket, request)
    socket.write(frame(TEXT, 'welcome'))
    socket.uncork()
  })
  const client = await connected(port)
  t.equal((await receive(client, 1))[0]?.payload.toString(), 'welcome')
  client.socket.destroy()
})

t.test('idleness ends a connection with 1001, traffic in either direction keeps it (K-04)', async (t) => {
  const { port, api, allGone } = await setUp(t, echo, { websocket: { ...options, idleMs: 1000 } })
  const client = await connected(port)
  const opened = performance.now()
  for (let beats = 0; beats < 4; beats++) {
    await new Promise((resolve) => setTimeout(resolve, 400))
    client.send(frame(PING, '', { mask: true }))
  }
  await receive(client, 4)
  t.ok(performance.now() - opened >= 1500, 'longer than its time')
  const { frames } = framesOf(await client.untilClose())
  t.same(frames.at(-1), { fin: true, opcode: CLOSE, payload: Buffer.from([0x03, 0xe9]) })
  client.socket.destroy()
  await allGone()
  t.equal(api.sockets.size, 0)
})

t.test('a message of more than maxMessageBytes -> 1009, and it does not pass (K-01)', async (t) => {
  const limit = { ...options, maxMessageBytes: 100 }
  const tooLarge: Record<string, Buffer[]> = {
    'in one frame': [frame(TEXT, 'x'.repeat(101), { mask: true })],
    'in fragments': [
      frame(TEXT, 'x'.repeat(60), { fin: false, mask: true }),
      frame(PING, 'x'.repeat(60), { mask: true }),
      frame(0, 'x'.repeat(41), { mask: true }),
    ],
    'announced only': [frame(BINARY, Buffer.alloc(1e6), { mask: true }).subarray(0, 14)],
    'beyond 2^53': [Buffer.from([0x82, 0xff, ...Buffer.alloc(8, 0xff), 1, 2, 3, 4])],
  }
  for (const [form, frames] of Object.entries(tooLarge)) {
    await t.test(form, async (t) => {
      const seen: Buffer[] = []
      const { port, allGone } = await setUp(
        t,
        (socket, request) => {
          acceptHandshake(socket, request)
          socket.on('data', (chunk) => seen.push(chunk)).on('end', () => socket.end())
        },
        { websocket: limit },
      )
      const client = await connected(port)
      client.send(frame(TEXT, 'x'.repeat(100), { mask: true }))
      await until(() => seen.length > 0)
      for (const piece of frames) client.send(piece)
      const received = framesOf(await client.untilClose()).frames
      t.same(received, [{ fin: true, opcode: CLOSE, payload: Buffer.from([0x03, 0xf1]) }])
      client.socket.destroy()
      await allGone()
      const passed = framesOf(Buffer.concat(seen)).frames
      t.equal(passed[0]?.payload.length, 100, 'the limit itself passes')
      t.notOk(passed.some(({ payload }) => [101, 41].includes(payload.length)))
      t.same(passed.at(-1)?.payload, Buffer.from([0x03, 0xe9]), 'the upstream is told, too')
    })
  }
})

/** Sessions that end when the test says so. */
function endings() {
  const listeners = new Set<() => void>()
  const onSessionEnd = (_session: Session, listener: () => void) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }
  return { listeners, onSessionEnd, end: () => [...listeners].map((listener) => listener()) }
}

t.test('the end of the session ends the connection with 1008 (H-29)', async (t) => {
  const sessions = endings()
  const seen: Buffer[] = []
  const respond: Responder = (socket, request) => {
    acceptHandshake(socket, request)
    socket.on('data', (chunk) => seen.push(chunk))
  }
  const { port, api, allGone } = await setUp(t, respond, {}, { onSessionEnd: sessions.onSessionEnd })
  const client = await connected(port)
  client.send(frame(TEXT, 'before', { mask: true }))
  await until(() => seen.length > 0)
  const before = performance.now()
  sessions.end()
  for (const socket of api.sockets) socket.write(frame(TEXT, 'after'))
  const { frames } = framesOf(await client.untilClose())
  t.ok(performance.now() - before < 4500, 'however slowly the sides take leave')
  t.same(
    frames,
    [{ fin: true, opcode: CLOSE, payload: Buffer.from([0x03, 0xf0]) }],
    'nothing passes after it',
  )
  client.socket.destroy()
  await allGone()
  t.same(framesOf(Buffer.concat(seen)).frames.at(-1)?.payload, Buffer.from([0x03, 0xe9]))
  t.equal(sessions.listeners.size, 0, 'nobody listens any more')
})

t.test('in the middle of a frame there is no close frame, only the end', async (t) => {
  const sessions = endings()
  const half = frame(BINARY, Buffer.alloc(1000)).subarray(0, 500)
  const { port, allGone } = await setUp(
    t,
    (socket, request) => {
      acceptHandshake(socket, request)
      socket.write(half)
    },
    {},
    { onSessionEnd: sessions.onSessionEnd },
  )
  const client = await connected(port)
  await client.until((received) => received.length >= 500)
  sessions.end()
  t.ok((await client.untilClose()).equals(half))
  client.socket.destroy()
  await allGone()
})

t.test('closing the gateway ends every connection with 1001 (K-07)', async (t) => {
  const { port, app, allGone } = await setUp(t)
  const client = await connected(port)
  const closing = app.close()
  const { frames } = framesOf(await client.untilClose())
  t.same(frames.at(-1)?.payload, Buffer.from([0x03, 0xe9]))
  client.socket.destroy()
  await closing
  await allGone()
})

t.test('a grant has at most a hundred connections at a time -> 429 (K-05)', async (t) => {
  const { port, allGone } = await setUp(t)
  const clients = await Promise.all(Array.from({ length: 100 }, () => connected(port)))
  t.equal((await exchange(port, handshake('/api/ws'))).status, 429)
  clients[0]?.socket.destroy()
  await until(() => clients[0]?.socket.destroyed === true)
  let status = 0
  for (let tries = 0; tries < 50 && status !== 101; tries++) {
    const client = new WireClient(port).send(handshake('/api/ws'))
    status = (await client.answer()).status
    clients.push(client)
  }
  t.equal(status, 101)
  for (const client of clients) client.socket.destroy()
  await allGone()
})

t.test('a side that does not read slows the other one down (K-04)', async (t) => {
  await t.test('the client', async (t) => {
    let taken = 0
    let full = false
    const { port, allGone } = await setUp(t, (socket, request) => {
      acceptHandshake(socket, request)
      const piece = frame(BINARY, Buffer.alloc(65_536))
      const flood = () => {
        while (taken < 200_000_000 && !socket.destroyed) {
          taken += piece.length
          if (socket.write(piece)) continue
          full = true
          socket.once('drain', flood)
          return
        }
      }
      flood()
    })
    const client = await connected(port)
    client.socket.pause()
    await until(() => full)
    let before = -1
    while (before !== taken) {
      before = taken
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    t.ok(taken < 50_000_000, `${taken} bytes were taken`)
    client.socket.destroy()
    await allGone()
  })
  await t.test('the upstream', async (t) => {
    const { port, api, allGone } = await setUp(t, (socket, request) => {
      acceptHandshake(socket, request)
      socket.pause()
    })
    const client = await connected(port)
    const piece = frame(BINARY, Buffer.alloc(65_536), { mask: true })
    let stalled = false
    while (!stalled && client.socket.bytesWritten < 200_000_000) {
      if (client.socket.write(piece)) continue
      const drained = once(client.socket, 'drain').then(() => false)
      stalled = await Promise.race([drained, new Promise<boolean>((go) => setTimeout(go, 300, true))])
    }
    t.ok(client.socket.bytesWritten < 50_000_000, `${client.socket.bytesWritten} bytes were taken`)
    client.socket.destroy()
    for (const socket of api.sockets) socket.resume()
    await allGone()
  })
})
