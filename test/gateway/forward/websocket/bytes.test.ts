import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { cuts, noneLeft, SEED, setUp } from '../../../support/generated-exchange.ts'
import { until } from '../../../support/wait.ts'
import { acceptHandshake, frame, handshake } from '../../../support/websocket.ts'
import { valuesOf } from '../../../support/wire.ts'

t.test('WebSocket bytes pass unchanged both ways, however they are cut (H-29)', async (t) => {
  const websocket = { origins: [], idleMs: 5000, maxMessageBytes: 1e9 }
  const { api, app, port } = await setUp(t, { websocket })
  const frameBytes = (mask: boolean) =>
    fc
      .record({
        kind: fc.constantFrom(
          [0, false],
          [0, true],
          [1, true],
          [1, false],
          [2, true],
          [2, false],
          [9, true],
          [10, true],
        ),
        size: fc.oneof(
          fc.nat(125),
          fc.integer({ min: 126, max: 2000 }),
          fc.integer({ min: 65_000, max: 200_000 }),
        ),
      })
      .map(({ kind: [opcode, fin], size }) => {
        const payload = Buffer.alloc(Number(opcode) >= 8 ? size % 126 : size, `${size}é\0`)
        return frame(Number(opcode), payload, { fin: Boolean(fin), mask })
      })
  const stream = (mask: boolean) =>
    fc.record({ bytes: fc.array(frameBytes(mask), { maxLength: 12 }).map((all) => Buffer.concat(all)), cuts })
  const sessions = fc.sample(fc.record({ up: stream(true), down: stream(false) }), {
    numRuns: 120,
    seed: SEED,
  })

  const pour = async (socket: Socket, { bytes, cuts: sizes }: { bytes: Buffer; cuts: number[] }) => {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const piece = bytes.subarray(at, at + sizes[i % sizes.length]!)
      at += piece.length
      if (!socket.write(piece)) await once(socket, 'drain')
      else if (i % 3 === 0) await new Promise(setImmediate)
    }
  }
  const arrived = new Map<string, Buffer[]>()
  api.respond = (socket, request) => {
    const [id = ''] = valuesOf(request, 'x-case')
    const pieces: Buffer[] = []
    arrived.set(id, pieces)
    socket.cork()
    acceptHandshake(socket, request)
    socket.on('data', (chunk) => pieces.push(chunk))
    const pouring = pour(socket, sessions[Number(id)]!.down)
    socket.uncork()
    pouring.catch(() => {})
  }
  let wrong = 0
  let next = 0
  const work = async () => {
    for (let id = next++; id < sessions.length; id = next++) {
      const { up, down } = sessions[id]!
      const socket = connect(port, '127.0.0.1')
      let received = Buffer.alloc(0)
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk])
      })
      socket.write(handshake('/api/ws', `X-Case: ${id}`))
      await until(() => received.includes('\r\n\r\n'))
      await pour(socket, up)
      const start = received.indexOf('\r\n\r\n') + 4
      await until(() => received.length - start >= down.bytes.length)
      const pieces = arrived.get(String(id)) ?? []
      await until(() => pieces.reduce((size, { length }) => size + length, 0) >= up.bytes.length)
      if (!received.subarray(start).equals(down.bytes) || !Buffer.concat(pieces).equals(up.bytes)) wrong++
      socket.destroy()
    }
  }
  await Promise.all(Array.from({ length: 8 }, work))
  t.equal(arrived.size, sessions.length)
  t.equal(wrong, 0)
  await noneLeft(app)
  await until(() => api.sockets.size === 0)
})
