/**
 * The same forwarder without its fast paths, as on a Node where no assumption holds (`gateway/listener/assumptions.ts`):
 * it must answer as ever. The files that are imported here run once more, on Node's own classes.
 */
import t from 'tap'
import { forwarder, head, upstream, usePlainClasses } from '../../support/forwarder.ts'
import { exchange, RawUpstream } from '../../support/wire.ts'

usePlainClasses()
await import('./http.test.ts')
await import('./streams.test.ts')
await import('./endings.test.ts')
await import('../listener/http1-connection.test.ts')

t.test(
  'an upgrade to something else than WebSocket is refused, since Node reads no body behind it',
  async (t) => {
    const api = new RawUpstream()
    const target = await api.listen()
    const { app, port } = await forwarder({
      upstreams: [upstream({ target, websocket: { origins: [], idleMs: 1000, maxMessageBytes: 1000 } })],
    })
    t.teardown(async () => {
      await api.close()
      await app.close()
    })
    const fields = ['Connection: Upgrade', 'Upgrade: h2c', 'Content-Length: 4']
    const answer = await exchange(port, `${head('POST /api/orders', ...fields)}body`)
    t.equal(answer.status, 501)
    t.equal(api.requests.length, 0)
    t.equal((await exchange(port, head('GET /api/orders'))).status, 200)
  },
)
