import fc from 'fast-check'
import t from 'tap'
import { closeFrame, FrameScanner } from '../../../../gateway/forward/websocket/frames.ts'
import { BINARY, CLOSE, frame, framesOf, PING, PONG, TEXT } from '../../../support/websocket.ts'

t.test('the frame scanner knows where frames end, however they are cut (RFC 6455 §5.2)', async (t) => {
  const anyFrame = fc
    .record({
      opcode: fc.constantFrom(0, TEXT, BINARY, CLOSE, PING, PONG),
      size: fc.oneof(
        fc.nat(125),
        fc.integer({ min: 126, max: 300 }),
        fc.integer({ min: 65_530, max: 65_540 }),
      ),
      fin: fc.boolean(),
      mask: fc.boolean(),
    })
    .map(({ opcode, size, fin, mask }) =>
      frame(opcode, Buffer.alloc(opcode >= 8 ? size % 126 : size), { fin, mask }),
    )
  fc.assert(
    fc.property(
      fc.array(anyFrame, { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 400 })),
      (frames, cuts) => {
        const bytes = Buffer.concat(frames)
        const ends = new Set([0])
        frames.reduce((at, { length }) => ends.add(at + length) && at + length, 0)
        const scanner = new FrameScanner()
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const end = Math.min(bytes.length, at + (cuts[i % cuts.length] ?? 1000))
          if (scanner.accept(bytes.subarray(at, end)) !== null) return false
          at = end
          if (scanner.whole !== ends.has(at)) return false
        }
        return true
      },
    ),
  )
  t.same(framesOf(closeFrame(1008, true)).frames, framesOf(closeFrame(1008, false)).frames)
  t.equal(new FrameScanner().accept(frame(PING, 'x'.repeat(126))), 1002, 'a control frame is short (§5.5)')
})
