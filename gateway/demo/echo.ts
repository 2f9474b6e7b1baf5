import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mask } from './mask.ts'

export interface EchoApi {
  /** For an upstream's `target`, e.g. `http://127.0.0.1:5000`. */
  readonly origin: string
  readonly port: number
  /** Requests received so far. */
  readonly requests: number
  /** Adds a listener that sees each request as it arrives, unmasked. Returns the function that removes it. */
  onRequest(listener: (request: IncomingMessage) => void): () => void
  close(): Promise<void>
}

/**
 * The API behind the gateway: answers what it saw as JSON, the `Authorization` header masked. `/status` answers
 * a health line, to be served without a session.
 *
 * @throws Error with code `EADDRINUSE` when the port is taken.
 */
export async function startEchoApi({ port = 0 }: { port?: number } = {}): Promise<EchoApi> {
  let requests = 0
  const listeners = new Set<(request: IncomingMessage) => void>()
  const server = createServer(async (request, response) => {
    requests += 1
    for (const listener of listeners) listener(request)
    const [path] = (request.url ?? '').split('?', 1)
    const answer = path === '/status' ? { status: 'ok', requests } : await echoOf(request)
    response.setHeader('content-type', 'application/json')
    response.end(`${JSON.stringify(answer, null, 2)}\n`)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve)
  })
  const address = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${address.port}`,
    port: address.port,
    get requests() {
      return requests
    },
    onRequest(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function echoOf(request: IncomingMessage) {
  let bodyBytes = 0
  for await (const piece of request) bodyBytes += (piece as Buffer).length
  const { authorization, ...headers } = request.headers
  return {
    method: request.method,
    path: request.url,
    headers: { ...headers, ...(authorization && { authorization: mask(authorization) }) },
    bodyBytes,
  }
}
