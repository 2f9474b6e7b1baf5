import Fastify from 'fastify'
import { pkce } from '../../../plugin/index.ts'
import { readArgument } from '../../plan/argument.ts'
import { pluginOptions } from '../../servers/gateway.ts'
import type { ForwarderArgument } from '../peer.ts'
import { httpProxyOptions, loadHttpProxy } from './http-proxy-options.ts'

/** Our plugin with its session check, and @fastify/http-proxy as the forwarder. */
const { port, upstream, provider } = readArgument<ForwarderArgument & { provider: number }>()
const app = Fastify({ logger: false })
await app.register(pkce, pluginOptions({ port, provider }))
await app.register(await loadHttpProxy(), {
  ...httpProxyOptions(upstream),
  preHandler: app.pkce.requireSession({ scopes: ['orders.read'] }),
})
await app.listen({ host: '127.0.0.1', port, backlog: 4096 })
