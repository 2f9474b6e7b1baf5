/** The one place that knows undici's handler interface: what a receiver is told, whichever dispatcher tells it. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { Agent, type Dispatcher, MockAgent } from 'undici'
import { type ResponseReceiver, UndiciHandler } from '../../../../plugin/provider/transport/undici-handler.ts'

/** `Promise.withResolvers`, which Node 20 lacks. */
function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

/** Writes down what it is told; `ended` resolves with the last of it. */
class Recorder implements ResponseReceiver {
  readonly told: string[] = []
  readonly handler = new UndiciHandler(this)
  readonly ended = withResolvers()

  onConnection(): void {
    this.told.push(`connection ${this.handler.isConnected}`)
  }

  onHead(status: number, fields: readonly string[]): void {
    this.told.push(`head ${status} ${fields.slice(0, 10).join(' ')}`)
  }

  onBody(chunk: Buffer): boolean {
    this.told.push(`body ${chunk.toString()}`)
    return true
  }

  onEnd(trailers: readonly string[]): void {
    this.told.push(`end ${trailers.join(' ')}`)
    this.ended.resolve()
  }

  onError(error: Error): void {
    this.told.push(`error ${error.message}`)
    this.ended.resolve()
  }
}

async function serve(t: Test, respond: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(respond).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function record(dispatcher: Dispatcher, origin: string): Promise<Recorder> {
  const recorder = new Recorder()
  dispatcher.dispatch({ origin, path: '/', method: 'GET' }, recorder.handler)
  await recorder.ended.promise
  return recorder
}

t.test('a response: connection, interim head, head in its own spelling, body, trailer', async (t) => {
  const origin = await serve(t, (_request, response) => {
    response.sendDate = false
    response.writeProcessing()
    response.writeHead(200, ['X-Byte', '\u00e9', 'trailer', 'x-sum', 'connection', 'close'])
    response.write('body')
    response.addTrailers({ 'X-Sum': '1' })
    response.end()
  })
  const agent = new Agent()
  t.teardown(() => agent.destroy())
  const { told } = await record(agent, origin)
  t.same(told, [
    'connection false',
    'head 102 ',
    'head 200 X-Byte \u00e9 trailer x-sum connection close Transfer-Encoding chunked',
    'body body',
    'end X-Sum 1',
  ])
})

t.test(
  'lines keep spelling and order: spelled otherwise the next time, repeated, or called by a number',
  async (t) => {
    let lines: string[] = []
    const origin = await serve(t, (_request, response) => {
      response.sendDate = false
      response.writeHead(200, [...lines, 'Content-Length', '0']).end()
    })
    const agent = new Agent()
    t.teardown(() => agent.destroy())
    for (lines of [
      ['X-Name', '1'],
      ['x-name', '2'],
      ['x-NAME', '3', 'X-name', '4', 'Other', '5', 'x-name', '6'],
      ['abc', '7', '123', '8', 'X-Name', '9'],
      ['__proto__', '10', 'constructor', '11'],
    ]) {
      const recorder = new Recorder()
      let head: readonly string[] = []
      recorder.onHead = (_status, fields) => {
        head = fields
      }
      agent.dispatch({ origin, path: '/', method: 'GET' }, recorder.handler)
      await recorder.ended.promise
      t.same(head.slice(0, lines.length), lines)
    }
  },
)

t.test('what a receiver throws at the head becomes the error', async (t) => {
  const origin = await serve(t, (_request, response) => response.end('body'))
  const agent = new Agent()
  t.teardown(() => agent.destroy())
  const recorder = new Recorder()
  recorder.onHead = () => {
    throw new Error('not wanted')
  }
  agent.dispatch({ origin, path: '/', method: 'GET' }, recorder.handler)
  await recorder.ended.promise
  t.same(recorder.told, ['connection false', 'error not wanted'])
})

t.test('a body waits until it may go on', async (t) => {
  const pieces = ['a'.repeat(200_000), 'b'.repeat(200_000)]
  const origin = await serve(t, (_request, response) => response.end(pieces.join('')))
  const agent = new Agent()
  t.teardown(() => agent.destroy())
  const recorder = new Recorder()
  let length = 0
  let isPaused = false
  recorder.onBody = (chunk) => {
    t.notOk(isPaused, 'nothing comes while it waits')
    length += chunk.length
    isPaused = true
    setImmediate(() => {
      isPaused = false
      recorder.handler.resume()
    })
    return false
  }
  agent.dispatch({ origin, path: '/', method: 'GET' }, recorder.handler)
  await recorder.ended.promise
  t.equal(length, 400_000)
})

t.test('abort has no effect before there is a connection, and ends what was sent', async (t) => {
  const origin = await serve(t, (_request, response) => response.flushHeaders())
  const agent = new Agent()
  t.teardown(() => agent.destroy())
  const recorder = new Recorder()
  recorder.handler.abort()
  recorder.onHead = () => recorder.handler.abort(new Error('enough'))
  agent.dispatch({ origin, path: '/', method: 'GET' }, recorder.handler)
  await recorder.ended.promise
  t.same(recorder.told, ['connection false', 'error enough'])
})

t.test('other dispatchers give text or an object, and the receiver gets the same', async (t) => {
  const mock = new MockAgent()
  mock.disableNetConnect()
  t.teardown(() => mock.close())
  mock
    .get('https://as.example')
    .intercept({ path: '/' })
    .reply(200, 'ok', { headers: { 'x-a': '1' } })
  t.same((await record(mock, 'https://as.example')).told, [
    'connection false',
    'head 200 x-a 1',
    'body ok',
    'end ',
  ])

  for (const [rawHeaders, parsed] of [
    [['X-A', '1'], { 'x-a': '1' }],
    [{ 'x-a': '1' }, { 'x-a': '1' }],
    [null, { 'x-a': '1' }],
    [['X-A', '1', 'x-a', '2'], { 'x-a': ['1', '2'] }],
    [null, { 'x-a': ['1', '2'] }],
  ] as const) {
    const recorder = new Recorder()
    const controller = { rawHeaders, rawTrailers: null } as unknown as Dispatcher.DispatchController
    recorder.handler.onRequestStart(controller)
    recorder.handler.onResponseStart(controller, 200, parsed as Record<string, string>)
    recorder.handler.onResponseEnd(controller, {})
    t.match(recorder.told.join('; '), /^connection false; head 200 x-a 1(?: x-a 2)?; end $/i)
  }
})
