import { createServer } from 'node:http'
import { readArgument } from '../argument.ts'
import { BareForwarder } from './bare-forwarder.ts'
import type { ForwarderArgument } from './peer.ts'

/** The limit: forwards everything, asks nothing. */
const { port, upstream } = readArgument<ForwarderArgument>()
const forwarder = new BareForwarder(upstream)
createServer((request, response) => forwarder.forward(request, response)).listen({
  host: '127.0.0.1',
  port,
  backlog: 4096,
})
