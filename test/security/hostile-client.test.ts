/**
 * The threat: a client on a raw socket that plays by no rules. Whatever it sends, the answer is one of ours, with
 * `no-store` and without a 500, no connection is held for longer than a limit, and the API sees nothing that was
 * not asked for properly (requirements H-20, H-22, H-27, H-33, K-01).
 */
import { channel } from 'node:diagnostics_channel'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { startGatewayStack } from '../support/gateway-stack.ts'
import { NativeApp } from '../support/native-app.ts'
import { exchange, field, WireClient } from '../support/wire.ts'

const stack = await startGatewayStack(t as unknown as Test)
const token = (await new NativeApp(stack).login()).access_token
const HOST = `Host: 127.0.0.1:${stack.port}`
const BEARER = `Authorization: Bearer ${token}`
const FORM = 'Content-Type: application/x-www-form-urlencoded'

const head = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`

/** Resolves when the gateway has read the head of a request. */
function nextRequest(): Promise<void> {
  return new Promise((resolve) => {
    const started = channel('http.server.request.start')
    const onStart = () => {
      started.unsubscribe(onStart)
      setImmediate(resolve)
    }
    started.subscribe(onStart)
  })
}

/** Timers that are set from now on run when the test says so. */
function stopTheClock(t: Test): void {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
}

for (const [name, framing] of [
  ['with a length', 'Content-Length: 100'],
  ['in chunks', 'Transfer-Encoding: chunked'],
] as const) {
  t.test(
    `a form ${name} that never comes -> 408 and close, not a connection held for ever (H-22)`,
    async (t) => {
      stopTheClock(t)
      const client = new WireClient(stack.port)
      t.teardown(() => client.socket.destroy())
      const started = nextRequest()
      client.send(head('POST /oauth2/token HTTP/1.1', HOST, FORM, framing))
      await started
      mock.timers.tick(10_000)
      const answer = await client.answer()
      t.equal(answer.status, 408)
      t.ok(answer.closed)
      t.equal(field(answer, 'cache-control'), 'no-store')
      t.same(JSON.parse(answer.body.toString()), {
        error: 'invalid_request',
        error_description: 'The body did not arrive in time.',
      })
    },
  )
}

t.test('what is refused before its body has come does not hold the connection either', async (t) => {
  stopTheClock(t)
  for (const [method, status] of [
    ['PUT /oauth2/token', 405],
    ['GET /oauth2/authorize', 400],
    ['GET /.well-known/openid-configuration', 200],
  ] as const) {
    const client = new WireClient(stack.port)
    const started = nextRequest()
    client.send(head(`${method} HTTP/1.1`, HOST, 'Content-Length: 100'))
    await started
    t.equal((await client.answer()).status, status)
    mock.timers.tick(10_000)
    await client.untilClose()
    t.pass(`${method}: closed`)
  }
})
