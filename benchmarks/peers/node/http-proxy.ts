import Fastify from 'fastify'
import { readArgument } from '../../plan/argument.ts'
import type { ForwarderArgument } from '../peer.ts'
import { httpProxyOptions, loadHttpProxy } from './http-proxy-options.ts'

/** @fastify/http-proxy alone, without any authentication. */
const { port, upstream } = readArgument<ForwarderArgument>()
const app = Fastify({ logger: false })
await app.register(await loadHttpProxy(), httpProxyOptions(upstream))
await app.listen({ host: '127.0.0.1', port, backlog: 4096 })
