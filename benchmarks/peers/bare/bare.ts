import { createServer } from 'node:http'
import { readArgument } from '../../plan/argument.ts'
import type { ForwarderArgument } from '../peer.ts'
import { BareForwarder } from './bare-forwarder.ts'
import { forwardUpgrade } from './bare-upgrade.ts'

/** The limit: forwards everything, asks nothing. */
const { port, upstream, connections } = readArgument<ForwarderArgument & { connections?: number }>()
const forwarder = new BareForwarder(upstream, connections)
createServer((request, response) => forwarder.forward(request, response))
  .on('upgrade', forwardUpgrade(upstream))
  .listen({ host: '127.0.0.1', port, backlog: 4096 })
