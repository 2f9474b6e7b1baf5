import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What decides readiness, by part. `null`: nothing stands in the way. */
export interface Readiness {
  /** What requests with a session need. Without it there is nothing to be had here. */
  readonly forwarding: string | null
  /** What logins need besides. */
  readonly store: string | null
  readonly provider: string | null
  /** Where the public listener is shared by several. */
  readonly workers?: string | null
}

/** Nobody could tell: not ready. */
const FAILED = 'the check failed'
export const CHECK_FAILED: Readiness = { forwarding: FAILED, store: FAILED, provider: FAILED }

/** Where the admin listener listens, and whom it asks. */
export interface AdminOptions {
  readonly host: string
  readonly port: number
  readonly readiness: () => Promise<Readiness>
  /** True from the first signal on: a load balancer must look elsewhere while requests in flight finish. */
  readonly draining: () => boolean
  /** What a scrape is answered with. Undefined: there is no `/metrics`. */
  readonly metrics?: (() => Promise<Answer>) | undefined
}

/** The second listener, for supervisors and load balancers; never reachable through the public one. */
export interface AdminListener {
  /** E.g. `http://127.0.0.1:9090`. */
  readonly address: string
  close(): Promise<void>
}

/** `body`: JSON, or text where it has a type. */
export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly contentType?: string
}

/**
 * Starts the admin listener, which answers GET and HEAD: `/healthz` (the process answers) and `/readyz` (200 `ready`:
 * a login can succeed now; 200 `degraded`: requests with a session can; 503 `not ready`), `/metrics` (Q-04).
 *
 * Paths are exact; anything else, a query too, is 404 (requirements H-31, Q-06).
 * @throws the error of `listen`, e.g. EADDRINUSE.
 */
export async function startAdmin(options: AdminOptions): Promise<AdminListener> {
  const routes = new Map<string | undefined, () => Promise<Answer>>([
    ['/healthz', async () => ({ status: 200, body: { status: 'ok' } })],
    ['/readyz', () => readyz(options)],
  ])
  if (options.metrics) routes.set('/metrics', options.metrics)
  const server = createServer({ headersTimeout: 5000, requestTimeout: 10_000 }, async (request, response) => {
    // HEAD: Node leaves the body out (RFC 9110 §9.3.2).
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    const route = isRead ? routes.get(request.url) : undefined
    const { status, body, contentType } = route
      ? await route()
      : { status: 404, body: { status: 'not found' } }
    const type = contentType ?? 'application/json'
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
    response.end(contentType === undefined ? JSON.stringify(body) : String(body))
    request.resume()
  })
  server.listen(options.port, options.host)
  await once(server, 'listening')

  const { address, family, port } = server.address() as AddressInfo
  return {
    address: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function readyz({ readiness, draining }: AdminOptions): Promise<Answer> {
  const parts = await readiness().catch(() => CHECK_FAILED)
  const problems = Object.entries(parts)
  // Last: it may have begun during the checks.
  const isDraining = draining()
  const serves = !isDraining && parts.forwarding === null && (parts.workers ?? null) === null
  const isReady = serves && problems.every(([, problem]) => problem === null)
  const checks = Object.fromEntries(problems.map(([name, problem]) => [name, problem ?? 'ok']))
  return {
    status: serves ? 200 : 503,
    body: {
      status: isReady ? 'ready' : serves ? 'degraded' : 'not ready',
      checks: { ...checks, draining: isDraining },
    },
  }
}
