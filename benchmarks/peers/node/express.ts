import { Agent, type IncomingMessage, type ServerResponse } from 'node:http'
import { readArgument } from '../../plan/argument.ts'
import { loadInstalled } from '../../plan/project.ts'
import { CONNECTIONS, type ForwarderArgument } from '../peer.ts'

/** express and http-proxy-middleware; with `jwt`, express-oauth2-jwt-bearer before it. */
interface Argument extends ForwarderArgument {
  /** Options of express-oauth2-jwt-bearer's `auth`. */
  readonly jwt?: object
}
type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void
interface App {
  use(middleware: Middleware): void
  listen(port: number, host: string, backlog: number): unknown
}
const { port, upstream, jwt } = readArgument<Argument>()

const { default: express } = await loadInstalled<{ default: () => App }>('express')
const { createProxyMiddleware } = await loadInstalled<{
  createProxyMiddleware(options: object): Middleware
}>('http-proxy-middleware')

const app = express()
if (jwt) {
  const { auth } = await loadInstalled<{ auth(options: object): Middleware }>('express-oauth2-jwt-bearer')
  app.use(auth(jwt))
}
// Its default is a new connection for each request, which nobody who measures would keep.
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
app.use(createProxyMiddleware({ target: `http://127.0.0.1:${upstream}`, agent }))
app.listen(port, '127.0.0.1', 4096)
