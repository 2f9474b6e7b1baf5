import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { close, listen } from './listening.ts'
import { mask } from './mask.ts'

/** Sees a request before it is answered. */
type RequestListener = (request: IncomingMessage, response: ServerResponse) => void

/** A running echo API. */
export interface EchoApi {
  /** For an upstream's `target`, e.g. `http://127.0.0.1:5000`. */
  readonly origin: string
  readonly port: number
  /** Requests received so far. */
  readonly requests: number
  /** Adds a listener that sees each request as it arrives, unmasked. Returns the function that removes it. */
  onRequest(listener: RequestListener): () => void
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
  const listeners = new Set<RequestListener>()
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const [path] = (request.url ?? '').split('?', 1)
    const body = path === '/status' ? { status: 'ok', requests } : await echoOf(request)
    response.setHeader('content-type', 'application/json')
    response.end(`${JSON.stringify(body, null, 2)}\n`)
  }
  const server = createServer((request, response) => {
    requests += 1
    for (const listener of listeners) listener(request, response)
    // An upload that is broken off.
    answer(request, response).catch(() => response.destroy())
  })
  const ownPort = await listen(server, port)
  return {
    origin: `http://127.0.0.1:${ownPort}`,
    port: ownPort,
    get requests() {
      return requests
    },
    onRequest(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    close: () => close(server),
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
