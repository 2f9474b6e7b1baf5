import { createServer } from 'node:http'
import { readArgument } from '../../plan/argument.ts'
import { TokenTable } from '../bare/token-table.ts'

/** What nginx asks before each request: 204 for a live token, 401 for any other. */
const { port, token } = readArgument<{ port: number; token: string }>()
const sessions = new TokenTable(token)
createServer((request, response) => {
  if (sessions.accepts(request.headers.authorization)) response.writeHead(204).end()
  else response.writeHead(401, { 'www-authenticate': 'Bearer' }).end()
}).listen({ host: '127.0.0.1', port, backlog: 4096 })
