import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { Dispatcher } from 'undici'
import { connected, serve } from '../../../support/provider-server.ts'
import { exchange, refused, TOKENS } from '../../../support/provider-setup.ts'

/** Deadlines for those tests that wait for one. */
/** No deadline ends a call unless the test sets it; the differences leave room for a busy machine. */
const PATIENT = { connectMs: 10_000, headersMs: 10_000, bodyMs: 10_000, totalMs: 10_000 }

t.test('deadlines and limits', async (t) => {
  t.test('a provider that never answers costs the head deadline and one request (C-17, F-08)', async (t) => {
    const server = await serve(t, () => {})
    const { provider } = await connected(t, server.origin, { timeouts: { ...PATIENT, headersMs: 500 } })
    const began = performance.now()
    await refused(t, provider.redeemCode(exchange), { reason: 'provider_unavailable', unsent: false })
    t.ok(performance.now() - began < 5000)
    t.equal(server.requests.length, 1)
  })

  t.test('one that drips is cut at the total deadline (F-08)', async (t) => {
    const server = await serve(t, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const drip = setInterval(() => response.write(' '), 50)
      response.on('close', () => clearInterval(drip))
    })
    const { provider } = await connected(t, server.origin, { timeouts: { ...PATIENT, totalMs: 600 } })
    const began = performance.now()
    await refused(t, provider.redeemCode(exchange), { reason: 'provider_unavailable', unsent: false })
    const took = performance.now() - began
    t.ok(took > 500 && took < 5000, `${took} ms`)
    t.equal(server.requests.length, 1)
  })

  t.test('one whose connection does not come about costs the connect deadline (F-08)', async (t) => {
    // TCP connects, the TLS handshake never comes.
    const sockets: net.Socket[] = []
    const mute = net.createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
      mute.close()
    })
    const origin = `https://127.0.0.1:${(mute.address() as AddressInfo).port}`
    const patient = await connected(t, origin, { timeouts: { ...PATIENT, connectMs: 300 } })
    await refused(t, patient.provider.redeemCode(exchange), {
      reason: 'provider_unavailable',
      unsent: true,
    })
    const hasty = await connected(t, origin, {
      timeouts: { ...PATIENT, totalMs: 200 },
    })
    const began = performance.now()
    await refused(t, hasty.provider.redeemCode(exchange), { reason: 'provider_unavailable', unsent: false })
    t.ok(performance.now() - began < 5000, 'the total deadline holds while connecting too')
  })

  t.test('an answer of 10 MB is cut off, not read (F-09)', async (t) => {
    let sent = 0
    let closed: Promise<unknown> | undefined
    const server = await serve(t, (_request, response) => {
      closed = once(response, 'close')
      response.writeHead(200, { 'content-type': 'application/json' })
      const more = () => {
        do sent += 65_536
        while (sent < 10_000_000 && response.write(Buffer.alloc(65_536, ' ')))
      }
      response.on('drain', more)
      more()
    })
    const { provider } = await connected(t, server.origin)
    await refused(t, provider.redeemCode(exchange), { reason: 'provider_answer_invalid', statusCode: 502 })
    await closed
    t.ok(sent < 10_000_000, `given up after ${sent} bytes`)
  })

  t.test('a head of more than 16 KiB is refused (F-09)', async (t) => {
    const server = await serve(t, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'x-large': 'x'.repeat(20_000) }).end('{}')
    })
    const { provider } = await connected(t, server.origin)
    await refused(t, provider.redeemCode(exchange), { reason: 'provider_answer_invalid' })
  })

  /** A client of a provider that answers with this body under this `Content-Encoding`. */
  async function answering(t: Test, coding: string, body: Buffer) {
    const server = await serve(t, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': coding })
      response.end(body)
    })
    return { server, ...(await connected(t, server.origin)) }
  }

  t.test('what came compressed is read, though nothing compressed is asked for (F-09)', async (t) => {
    const json = Buffer.from(JSON.stringify(TOKENS))
    for (const [coding, body] of [
      ['gzip', gzipSync(json)],
      ['GZIP', gzipSync(json)],
      ['x-gzip', gzipSync(json)],
      ['deflate', deflateSync(json)],
      ['deflate', deflateRawSync(json)],
      ['br', brotliCompressSync(json)],
      ['identity', json],
    ] as const) {
      const { provider, server } = await answering(t, coding, body)
      t.match(await provider.redeemCode(exchange), { accessToken: 'at' }, coding)
      t.equal(server.requests[0]!.headers['accept-encoding'], 'identity')
    }
  })

  t.test('what unfolds to more than the limit is given up at the limit (F-09)', async (t) => {
    const large = Buffer.alloc(20_000_000, ' ')
    for (const [coding, body] of [
      ['gzip', gzipSync(large)],
      ['deflate', deflateSync(large)],
      ['deflate', deflateRawSync(large)],
      ['br', brotliCompressSync(large)],
    ] as const) {
      const { provider } = await answering(t, coding, body)
      const error = await refused(t, provider.redeemCode(exchange), {
        reason: 'provider_answer_invalid',
        statusCode: 502,
      })
      t.match(error, { cause: { message: 'content-encoding: ERR_BUFFER_TOO_LARGE' } }, coding)
    }
  })

  t.test(
    'what is not what its Content-Encoding says, or has one that we cannot read, is refused (F-09)',
    async (t) => {
      const json = Buffer.from(JSON.stringify(TOKENS))
      for (const [coding, body] of [
        ['br', json],
        ['gzip', json],
        ['gzip', gzipSync(json).subarray(0, -10)],
        ['deflate', json],
        ['gzip, br', gzipSync(json)],
        ['zstd', json],
        ['toString', json],
      ] as const) {
        const { provider } = await answering(t, coding, body)
        await refused(t, provider.redeemCode(exchange), { reason: 'provider_answer_invalid' }, coding)
      }
    },
  )
})

t.test('requests that are given up', async (t) => {
  /** A provider client whose one request is in our hands. */
  async function started(t: Test, totalMs: number) {
    const requests: { handler: Dispatcher.DispatchHandler; controller: Dispatcher.DispatchController }[] = []
    const dispatch: Dispatcher['dispatch'] = (_options, handler) => {
      requests.push({ handler, controller: controllerOf() })
      return true
    }
    const timeouts = { ...PATIENT, totalMs }
    const { provider } = await connected(t, 'https://as.example', { timeouts }, { dispatcher: { dispatch } })
    const call = provider.redeemCode(exchange)
    await new Promise((resolve) => setImmediate(resolve))
    return { call, request: requests[0]! }
  }

  t.test('one that was still in the queue for a connection is not sent later (C-17)', async (t) => {
    const { call, request } = await started(t, 10)
    await refused(t, call, { reason: 'provider_unavailable', unsent: false })
    // undici drops a request whose start throws, and keeps the connection.
    t.throws(() => request.handler.onRequestStart!(request.controller, {}), { message: 'late' })
  })

  t.test('one with a wrong head is read on for its connection, but only so far (F-09)', async (t) => {
    const { call, request } = await started(t, PATIENT.totalMs)
    const { handler, controller } = request
    handler.onRequestStart!(controller, {})
    handler.onResponseStart!(controller, 503, {}, '')
    await refused(t, call, { reason: 'provider_unavailable', unsent: false })
    handler.onResponseData!(controller, Buffer.alloc(65_536))
    t.notOk(controller.aborted)
    handler.onResponseData!(controller, Buffer.alloc(1))
    t.ok(controller.aborted)
    handler.onResponseError!(controller, new Error('aborted'))
  })
})

/** What undici hands to a handler with a connection. */
function controllerOf(): Dispatcher.DispatchController {
  let reason: Error | null = null
  return {
    rawHeaders: [],
    rawTrailers: [],
    paused: false,
    get aborted() {
      return reason !== null
    },
    get reason() {
      return reason
    },
    abort: (error: Error) => {
      reason = error
    },
    pause: () => {},
    resume: () => {},
  }
}
