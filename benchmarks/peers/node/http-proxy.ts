import Fastify from 'fastify'
import { manyPrefixes } from '../../cases/server/many-prefixes.ts'
import { readArgument } from '../../plan/argument.ts'
import type { ForwarderArgument } from '../peer.ts'
import { httpProxyOptions, loadHttpProxy } from './http-proxy-options.ts'

/** @fastify/http-proxy alone, without any authentication. */
const { port, upstream, routes = 1 } = readArgument<ForwarderArgument & { routes?: number }>()
// A process that a signal ends leaves no compile cache behind.
process.once('SIGTERM', () => process.exit())
const app = Fastify({ logger: false })
const httpProxy = await loadHttpProxy()
for (const prefix of manyPrefixes(routes)) {
  await app.register(httpProxy, { ...httpProxyOptions(upstream), prefix })
}
await app.listen({ host: '127.0.0.1', port, backlog: 4096 })
