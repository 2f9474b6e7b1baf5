import { createServer } from 'node:http'
import { readArgument } from '../../plan/argument.ts'
import type { ForwarderArgument } from '../peer.ts'
import { BareForwarder } from './bare-forwarder.ts'
import { TokenTable } from './token-table.ts'

/** The limit with the least of a session check. */
const { port, upstream, token } = readArgument<ForwarderArgument & { token: string }>()
const forwarder = new BareForwarder(upstream)
const sessions = new TokenTable(token)
createServer((request, response) => {
  if (sessions.accepts(request.headers.authorization)) forwarder.forward(request, response)
  else response.writeHead(401, { 'www-authenticate': 'Bearer' }).end()
}).listen({ host: '127.0.0.1', port, backlog: 4096 })
