import { createServer } from 'node:https'
import { readArgument } from '../../plan/argument.ts'
import type { ForwarderArgument } from '../peer.ts'
import { BareForwarder } from './bare-forwarder.ts'

/** The limit over TLS, HTTP/1.1. */
const { port, upstream, cert, key } = readArgument<ForwarderArgument & { cert: string; key: string }>()
const forwarder = new BareForwarder(upstream)
createServer({ cert, key }, (request, response) => forwarder.forward(request, response)).listen({
  host: '127.0.0.1',
  port,
  backlog: 4096,
})
