/** Providers that others have written, each on a port of its own. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { Test } from 'tap'
import { close, listen } from '../../../examples/demo/listening.ts'

/** A running provider, and what it knows the gateway by. */
export interface NodeProvider {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  /** Requests so far, as method and path: `POST /token`. */
  readonly calls: readonly string[]
  /** From now on it knows none of its refresh tokens. Absent: it refuses none, or cannot be made to here. */
  forget?(): void | Promise<void>
}

/** Where the gateway's credentials can be chosen. */
export const OURS = { clientId: 'gateway', clientSecret: 'gateway-secret' } as const

/** A provider's server and its origin, before the provider is made: its issuer names the port. */
export interface Serving {
  readonly origin: string
  readonly calls: readonly string[]
  answer(listener: RequestListener): void
  /** For those that are written for `fetch`. */
  answerFetch(handler: (request: Request) => Response | Promise<Response>): void
}

/** Listens on a free port until the test ends. */
export async function serve(t: Test): Promise<Serving> {
  const calls: string[] = []
  const server = createServer((request) => {
    const [path = ''] = (request.url ?? '').split('?', 1)
    calls.push(`${request.method} ${path}`)
  })
  const origin = `http://127.0.0.1:${await listen(server, 0)}`
  t.teardown(() => close(server))
  return {
    origin,
    calls,
    answer: (listener) => void server.on('request', listener),
    answerFetch: (handler) =>
      void server.on('request', async (incoming: IncomingMessage, outgoing: ServerResponse) => {
        const response = await handler(await toRequest(origin, incoming))
        outgoing.statusCode = response.status
        for (const [name, value] of response.headers) {
          if (name !== 'set-cookie') outgoing.setHeader(name, value)
        }
        outgoing.setHeader('set-cookie', response.headers.getSetCookie())
        outgoing.end(Buffer.from(await response.arrayBuffer()))
      }),
  }
}

async function toRequest(origin: string, incoming: IncomingMessage): Promise<Request> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) headers.set(name, String(value))
  // The browser of our tests is Node's fetch, which says `cors` where a browser that opens a page says `navigate`.
  headers.delete('sec-fetch-mode')
  const { method = 'GET', url = '' } = incoming
  const body = method === 'GET' ? null : Buffer.concat(chunks)
  return new Request(origin + url, { method, headers, body })
}

/** A page whose form comes back to `action`, with what is hidden in it. */
export function formPage(action: string, fields: Readonly<Record<string, string>>, typed = ''): Response {
  const hidden = Object.entries(fields).map(
    ([name, value]) => `<input type="hidden" name="${name}" value="${escaped(value)}">`,
  )
  const form = `<form method="post" action="${action}">${typed}${hidden.join('')}</form>`
  return new Response(form, { headers: { 'content-type': 'text/html' } })
}

/** Fields in which a person types a name and a password. */
export const CREDENTIALS = '<input type="text" name="username"><input type="password" name="password">'

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
}
