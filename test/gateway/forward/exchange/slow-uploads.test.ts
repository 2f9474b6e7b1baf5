import { PassThrough } from 'node:stream'
import t from 'tap'
import { Upload } from '../../../../gateway/forward/exchange/upload.ts'
import type { Refusal } from '../../../../gateway/http/refusals.ts'
import { forwarder, HOST, head, upstream } from '../../../support/forwarder.ts'
import { until } from '../../../support/wait.ts'
import { RawUpstream, WireClient } from '../../../support/wire.ts'

/** The rates are far apart, so that a slow machine does not matter. */
t.test('a body slower than minUploadBytesPerSecond ends after ten seconds (CWE-400, H-22)', async (t) => {
  const api = new RawUpstream()
  const target = await api.listen()
  const { app, port } = await forwarder({
    upstreams: [upstream({ target, bodyLimitBytes: 1e9 })],
    minUploadBytesPerSecond: 8192,
  })
  const timers: NodeJS.Timeout[] = []
  const clients: WireClient[] = []
  t.teardown(async () => {
    for (const timer of timers) clearInterval(timer)
    for (const { socket } of clients) socket.destroy()
    await api.close()
    await app.close()
  })
  const drip = (request: string, bytes: number) => {
    const client = new WireClient(port).send(request)
    clients.push(client)
    timers.push(setInterval(() => client.send('a'.repeat(bytes)), 100))
    return client
  }
  const form = `POST /oauth2/form HTTP/1.1\r\nHost: ${HOST}\r\nContent-Type: application/json\r\nContent-Length: 16000\r\n\r\n`
  const upload = head('POST /api/a', 'Content-Length: 100000000')
  const begun = performance.now()
  const slow = drip(upload, 10)
  const quick = drip(upload, 50_000)
  const endpoint = drip(form, 1)
  const answer = await slow.answer()
  t.equal(answer.status, 408)
  t.equal(answer.closed, true)
  t.ok(performance.now() - begun > 9000)
  await until(() => api.sockets.size === 1)
  t.equal(quick.received.length, 0, 'enough is enough')
  // The largest body that it takes, at this rate: two seconds later.
  t.equal((await endpoint.untilClose()).length, 0, 'an endpoint has no answer for half a form')
})

t.test('an upload that waits for the upstream is not slow, and 0 means no floor', async (t) => {
  const judged = (minUploadBytesPerSecond: number) => {
    const request = new PassThrough()
    const refusals: Refusal[] = []
    const limits = { bodyLimitBytes: 1e9, idleMs: 60_000, minUploadBytesPerSecond }
    const upload = new Upload(request as never, limits, (refusal) => refusals.push(refusal))
    t.teardown(() => upload.destroy())
    return { request, refusals, upload }
  }
  const intervals: (() => void)[] = []
  t.intercept(globalThis, 'setInterval', {
    value: (judge: () => void) => {
      intervals.push(judge)
      return undefined
    },
  })
  const [stalled, slow, unlimited] = [judged(1000), judged(1000), judged(0)]
  stalled.request.write(Buffer.alloc(100_000))
  slow.request.write('a')
  unlimited.request.write('a')
  slow.upload.resume()
  await new Promise(setImmediate)
  t.equal(intervals.length, 2)
  for (let windows = 0; windows < 3; windows++) for (const judge of intervals) judge()
  t.same(stalled.refusals, [], 'we have paused it')
  t.ok(slow.refusals.includes('request_timeout'))
  t.same(unlimited.refusals, [])
})
