import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { readAnswer } from '../../support/answer-reader.ts'
import { HOST } from '../../support/forwarder.ts'
import {
  answerBytes,
  asker,
  exchangeCase,
  noneLeft,
  requestBytes,
  SEED,
  setUp,
  WORKERS,
} from '../../support/generated-exchange.ts'
import { until } from '../../support/wait.ts'
import { valuesOf } from '../../support/wire.ts'

t.test(
  'faults at any byte leave no socket behind, and the next request is unharmed (H-27, H-35)',
  async (t) => {
    const { api, app, port } = await setUp(t)
    const faults = fc.sample(
      fc.record({
        one: exchangeCase,
        side: fc.constantFrom('client', 'client in the answer', 'upstream'),
        at: fc.double({ min: 0, max: 0.99, noNaN: true }),
        reset: fc.boolean(),
      }),
      { numRuns: 300, seed: SEED },
    )
    const leave = (socket: Socket, reset: boolean) => (reset ? socket.resetAndDestroy() : socket.destroy())
    api.respond = (socket, request) => {
      const [id] = valuesOf(request, 'x-case')
      const fault = id === undefined ? undefined : faults[Number(id)]
      if (fault?.side !== 'upstream') {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n')
        socket.write(Buffer.alloc(20_000, 'x'))
        return
      }
      const bytes = answerBytes(fault.one)
      socket.write(bytes.subarray(0, Math.floor(bytes.length * fault.at)), () => leave(socket, fault.reset))
    }
    let next = 0
    const work = async () => {
      for (let id = next++; id < faults.length; id = next++) {
        const { one, side, at, reset } = faults[id]!
        const bytes = requestBytes(one, id, '/api')
        const socket = connect(port, '127.0.0.1').on('error', () => {})
        const closed = once(socket, 'close')
        if (side === 'client') {
          socket.write(bytes.subarray(0, Math.floor(bytes.length * at)), () => leave(socket, reset))
        } else if (side === 'client in the answer') {
          socket.once('data', () => leave(socket, reset))
          socket.write(bytes)
        } else {
          // Either an answer of ours, or the upstream's as far as it came.
          socket.write(bytes)
          await readAnswer(socket, one.method).catch(() => {})
          socket.destroy()
        }
        await closed
      }
    }
    await Promise.all(Array.from({ length: WORKERS }, work))
    await noneLeft(app)
    const after = asker(port)
    const plain = Buffer.from(`GET /api/a HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: Bearer good\r\n\r\n`)
    for (let i = 0; i < 100; i++) {
      const { status, body: content } = await after.ask(plain, 'GET')
      if (status !== 200 || content.length !== 20_000) t.fail(`request ${i} after the faults: ${status}`)
    }
    after.close()
    await noneLeft(app)
    await app.close()
    await until(() => api.sockets.size === 0)
    t.pass('nothing is open on either side')
  },
)
