import Fastify from 'fastify'
import { readArgument } from '../../plan/argument.ts'
import type { ForwarderArgument } from '../peer.ts'
import { httpProxyOptions, loadHttpProxy } from './http-proxy-options.ts'

/** @fastify/http-proxy for streams: WebSocket switched on, and as many upstream connections as there are streams. */
const { port, upstream, connections } = readArgument<ForwarderArgument & { connections: number }>()
const app = Fastify({ logger: false })
await app.register(await loadHttpProxy(), {
  ...httpProxyOptions(upstream),
  undici: { connections, pipelining: 1 },
  websocket: true,
})
await app.listen({ host: '127.0.0.1', port, backlog: 4096 })
