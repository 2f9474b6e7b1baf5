import { mock } from 'node:test'
import t from 'tap'
import { LogSink } from '../../../../gateway/operations/log/log-sink.ts'

/** A sink on something that takes, refuses or holds up what is written. */
function setUp() {
  const written: string[] = []
  const told: string[] = []
  const target = { take: (bytes: Buffer) => bytes.length }
  const sink = new LogSink({
    write: (bytes) => {
      const taken = target.take(bytes)
      written.push(bytes.subarray(0, taken).toString())
      return taken
    },
    tell: (message) => told.push(message),
  })
  return { sink, written, told, target }
}

function failure(code: string): () => never {
  return () => {
    throw Object.assign(new Error(code), { code })
  }
}

const whole = (bytes: Buffer) => bytes.length

t.test('lines of one turn are written together, at its end (Q-02)', async (t) => {
  const { sink, written } = setUp()
  sink.write('{"a":1}\n')
  sink.write('{"a":2}\n')
  t.same(written, [])
  await new Promise(setImmediate)
  t.same(written, ['{"a":1}\n{"a":2}\n'])
})

t.test(
  'no write is longer than what a pipe takes whole, but for a longer line (pipe(7), Q-02)',
  async (t) => {
    const { sink, written } = setUp()
    const line = `${'x'.repeat(999)}\n`
    for (let i = 0; i < 10; i++) sink.write(line)
    sink.write(`${'y'.repeat(9999)}\n`)
    sink.flushSync()
    t.same(
      written.map(({ length }) => length),
      [4000, 4000, 2000, 10_000],
    )
  },
)

for (const code of ['EPIPE', 'ENOSPC', 'EFBIG', 'EIO']) {
  t.test(`${code}: the line is dropped and counted, and the next one is tried again (Q-02)`, async (t) => {
    const { sink, written, target, told } = setUp()
    target.take = failure(code)
    sink.write('lost\n')
    sink.write('lost too\n')
    sink.flushSync()
    t.equal(sink.dropped, 2)
    target.take = whole
    sink.write('there\n')
    sink.flushSync()
    t.same(written, ['there\n'])
    sink.end()
    t.equal(told.length, 1)
    t.match(told[0], new RegExp(`^pkce-gateway: 2 log lines were lost .*${code}`))
  })
}

t.test('a line that was torn does not spoil the next one (Q-02)', async (t) => {
  const { sink, written, target } = setUp()
  sink.write('{"torn":1}\n')
  target.take = (bytes) => (bytes.toString().startsWith('{') ? 3 : failure('ENOSPC')())
  sink.flushSync()
  t.equal(sink.dropped, 1)
  target.take = whole
  sink.write('{"whole":1}\n')
  sink.flushSync()
  t.equal(written.join(''), '{"t\n{"whole":1}\n')
})

t.test('what a slow reader leaves is written later, in order and whole (Q-02)', async (t) => {
  const { sink, written, target } = setUp()
  let room = 5
  target.take = (bytes) => {
    if (room === 0) failure('EAGAIN')()
    const taken = Math.min(room, bytes.length)
    room -= taken
    return taken
  }
  for (let i = 0; i < 3000; i++) sink.write(`line ${i}\n`)
  sink.flushSync()
  t.equal(written.join(''), 'line ')
  room = 20_000
  sink.flushSync()
  room = Number.POSITIVE_INFINITY
  await sink.drained()
  t.equal(written.join(''), Array.from({ length: 3000 }, (_, i) => `line ${i}\n`).join(''))
  t.equal(sink.dropped, 0)
})

t.test('a reader that never reads holds a bounded memory, and no stop (Q-02)', async (t) => {
  const { sink, target, told } = setUp()
  target.take = failure('EAGAIN')
  const line = `${'x'.repeat(1023)}\n`
  for (let i = 0; i < 5000; i++) sink.write(line)
  sink.flushSync()
  for (let i = 0; i < 5000; i++) sink.write(line)
  t.ok(sink.dropped > 8900, `${sink.dropped} of 10,000`)
  const from = performance.now()
  await sink.drained()
  t.ok(performance.now() - from < 2000)
  sink.end()
  t.match(told.at(-1), /log lines were lost .*its reader does not read/)
  t.equal(sink.dropped, 10_000, 'those that still wait at the end are lost too')
})

t.test('losses are told a second after the first, and then once a minute (Q-02)', async (t) => {
  let now = 0
  mock.timers.enable({ apis: ['setTimeout'] })
  mock.method(performance, 'now', () => now)
  t.teardown(() => mock.reset())
  t.teardown(() => mock.timers.reset())
  const { sink, told, target } = setUp()
  target.take = failure('ENOSPC')
  for (let second = 0; second < 130; second++) {
    sink.write('lost\n')
    sink.flushSync()
    now += 1000
    mock.timers.tick(1000)
  }
  t.same(
    told.map((message) => /: (\d+) log lines? w/.exec(message)?.[1]),
    ['1', '60', '60'],
  )
  t.equal(sink.dropped, 130)
})
