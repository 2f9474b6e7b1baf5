/** A gateway with WebSocket routes in front of a recording upstream. */
import type { Socket } from 'node:net'
import type { Test } from 'tap'
import type { Upstream } from '../../gateway/config/schemas/gateway.ts'
import { type ForwarderSetup, forwarder, upstream } from './forwarder.ts'
import { until } from './wait.ts'
import { echo } from './websocket.ts'
import { RawUpstream, type Responder } from './wire.ts'

export const ORIGIN = 'https://app.example'
export const options = { origins: [ORIGIN], idleMs: 5000, maxMessageBytes: 1_000_000 }

export async function setUp(
  t: Test,
  respond: Responder = echo,
  own: Partial<Upstream> = {},
  setup: Partial<ForwarderSetup> = {},
) {
  const api = new RawUpstream()
  api.respond = respond
  const target = await api.listen()
  const upstreams = [
    upstream({ target, websocket: options, bodyLimitBytes: 1e9, ...own }),
    upstream({ target, prefix: '/plain' }),
    upstream({
      target,
      prefix: '/public',
      public: true,
      methods: ['GET'],
      credentials: 'none',
      websocket: options,
    }),
  ]
  const { app, port, logged } = await forwarder({ upstreams, ...setup })
  const clients = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => {
    clients.add(socket)
    socket.on('close', () => clients.delete(socket))
  })
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  /** Nothing is left open on either side. */
  const allGone = () => until(() => clients.size === 0 && api.sockets.size === 0)
  return { api, port, app, logged, clients, allGone }
}
