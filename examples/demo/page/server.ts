import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { EchoApi } from '../echo.ts'
import { close, listen } from '../listening.ts'
import { login } from '../login.ts'
import { fileAt } from './files.ts'
import type { Sighting, Witness } from './witness.ts'

/** The page's server, an upstream of the gateway that needs no session. */
export interface PageServer {
  /** For an upstream's `target`. */
  readonly origin: string
  /** Ends the event streams, which would hold a stop. */
  endStreams(): void
  close(): Promise<void>
}

/** Who signs in in the other browser. */
const VICTIM = { username: 'victim', password: 'demo' }
const BODY_MAX = 8192
const HEARTBEAT_MS = 15_000

/** Nothing from elsewhere, nothing inline, and the code in the address stays in the address. */
const PAGE_FIELDS = {
  'cache-control': 'no-store',
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/**
 * Serves the page, what the witness sees as an event stream, and what a page cannot do by itself: be another browser,
 * and have what a thief inside would have. On loopback alone.
 */
export async function startPage(demo: {
  readonly witness: Witness
  readonly api: EchoApi
  readonly publicUrl: string
  readonly providerIssuer: string
}): Promise<PageServer> {
  const { witness, api, publicUrl, providerIssuer } = demo
  const callback = `${publicUrl}/oauth2/callback`
  const boot = randomUUID()
  const streams = new Set<ServerResponse>()
  const state = () => ({
    ...{ boot, seq: witness.seq, apiRequests: api.requests },
    ...{ gateway: publicUrl, provider: providerIssuer, api: api.origin },
  })
  let walking: Promise<unknown> = Promise.resolve()

  const answers: Record<string, (request: IncomingMessage, response: ServerResponse) => Promise<void>> = {
    'GET /demo/state': async (_, response) => sendJson(response, 200, state()),
    'GET /demo/events': async (request, response) => stream(request, response),
    'POST /demo/other-browser': async (request, response) => {
      const { url, until } = await jsonBody(request)
      const isAuthorization = typeof url === 'string' && url.startsWith(`${publicUrl}/oauth2/authorize?`)
      if (!isAuthorization) return sendJson(response, 400, { error: 'url must be an authorization URL' })
      const isStopped = until === 'callback'
      // One after the other: what is seen meanwhile is of this one.
      const walk = walking.then(() =>
        witness.apart(() => login(url, { ...VICTIM, until: isStopped ? callback : `${publicUrl}/?` })),
      )
      walking = walk.catch(() => undefined)
      const { result, trail } = await walk
      sendJson(response, 200, { ...result, trail })
    },
    'POST /demo/provider-token': async (request, response) => {
      await jsonBody(request)
      sendJson(response, 200, { providerToken: witness.lastProviderToken })
    },
  }

  function stream(request: IncomingMessage, response: ServerResponse): void {
    const since = Number(new URL(request.url ?? '', publicUrl).searchParams.get('since') ?? witness.seq)
    const send = (value: object) => response.write(`data: ${JSON.stringify(value)}\n\n`)
    const tell = (sighting: Sighting) => send(sighting)
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    send({ hello: state() })
    for (const sighting of witness.since(since)) tell(sighting)
    const end = witness.subscribe(tell)
    const heartbeat = setInterval(() => response.write(':\n\n'), HEARTBEAT_MS)
    streams.add(response)
    response.once('close', () => {
      end()
      clearInterval(heartbeat)
      streams.delete(response)
    })
  }

  const server = createServer((request, response) => {
    // Another site's page must reach nothing here, whatever name it gives this address.
    if (request.headers.host !== `127.0.0.1:${port}`) {
      response.writeHead(421).end()
      return
    }
    const [path = ''] = (request.url ?? '').split('?', 1)
    const answer = answers[`${request.method} ${path}`] ?? sendFile
    answer(request, response).catch((error: Error) => {
      if (response.headersSent) response.destroy()
      else sendJson(response, error instanceof Refused ? error.status : 502, { error: error.message })
    })
  })
  const port = await listen(server, 0)
  return {
    origin: `http://127.0.0.1:${port}`,
    endStreams() {
      for (const response of streams) response.end()
    },
    close: () => close(server),
  }
}

async function sendFile(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = ''] = (request.url ?? '').split('?', 1)
  const file = request.method === 'GET' ? await fileAt(path) : undefined
  if (file === undefined) return sendJson(response, 404, { error: 'there is nothing here' })
  response.writeHead(200, { ...PAGE_FIELDS, 'content-type': file.type }).end(file.content)
}

class Refused extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Only a script of our own origin can send JSON here: others would have to ask first, and are not let. */
async function jsonBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  if (request.headers['content-type'] !== 'application/json') throw new Refused(415, 'JSON is expected')
  let text = ''
  for await (const piece of request) {
    text += piece
    if (text.length > BODY_MAX) throw new Refused(413, 'the body is too large')
  }
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>
  } catch {
    throw new Refused(400, 'the body is no JSON')
  }
}

function sendJson(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(value))
}
