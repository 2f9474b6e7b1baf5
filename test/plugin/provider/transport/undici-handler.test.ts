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

  onHead(status: number, rawFields: readonly Buffer[]): void {
    const fields = rawFields.map((bytes) => bytes.toString('latin1'))
    this.told.push(`head ${status} ${fields.slice(0, 2).join(': ')}`)
  }

  onBody(chunk: Buffer): boolean {
    this.told.push(`body ${chunk.toString()}`)
    return true
  }

  onEnd(rawTrailers: readonly Buffer[]): void {
    this.told.push(`end ${rawTrailers.map((bytes) => bytes.toString('latin1')).join(': ')}`)
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

t.test('a response: connection, interim head, head in its own bytes, body, trailer', async (t) => {
  const origin = await serve(t, (_request, response) => {
    response.writeProcessing()
    response.writeHead(200, ['X-Byte', '\u00e9', 'trailer', 'x-sum'])
    response.write('body')
    response.addTrailers({ 'X-Sum': '1' })
    response.end()
  })
  const agent = new Agent()
  t.teardown(() => agent.destroy())
  const { told } = await record(agent, origin)
  t.same(told, ['connection false', 'head 102 ', 'head 200 X-Byte: \u00e9', 'body body', 'end X-Sum: 1'])
})

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

t.test('other dispatchers give text or an object, and the receiver bytes', async (t) => {
  const mock = new MockAgent()
  mock.disableNetConnect()
  t.teardown(() => mock.close())
  mock
    .get('https://as.example')
    .intercept({ path: '/' })
    .reply(200, 'ok', { headers: { 'x-a': '1' } })
  t.match((await record(mock, 'https://as.example')).told, [
    'connection false',
    /^head 200 x-a: 1/,
    'body ok',
  ])

  for (const rawHeaders of [['x-a', '1'], { 'x-a': '1' }, { 'x-a': ['1', '2'] }]) {
    const recorder = new Recorder()
    const controller = { rawHeaders, rawTrailers: null } as unknown as Dispatcher.DispatchController
    recorder.handler.onRequestStart(controller)
    recorder.handler.onResponseStart(controller, 200)
    recorder.handler.onResponseEnd(controller)
    t.same(recorder.told, ['connection false', 'head 200 x-a: 1', 'end '])
  }
})
