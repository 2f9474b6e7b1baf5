import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What decides readiness. `null`: nothing stands in the way. */
export interface Readiness {
  readonly store: string | null
  readonly provider: string | null
  /** Where the public listener is shared by several. */
  readonly workers?: string | null
}

/** Nobody could tell: not ready. */
export const CHECK_FAILED: Readiness = { store: 'the check failed', provider: 'the check failed' }

/** Where the admin listener listens, and whom it asks. */
export interface AdminOptions {
  readonly host: string
  readonly port: number
  readonly readiness: () => Promise<Readiness>
  /** True from the first signal on: a load balancer must look elsewhere while requests in flight finish. */
  readonly draining: () => boolean
}

/** The second listener, for supervisors and load balancers; never reachable through the public one. */
export interface AdminListener {
  /** E.g. `http://127.0.0.1:9090`. */
  readonly address: string
  close(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

/**
 * Starts the admin listener: `GET /healthz` (the process answers) and `GET /readyz` (a login can succeed now).
 *
 * Paths are exact; anything else, a query too, is 404 (requirements H-31).
 * @throws the error of `listen`, e.g. EADDRINUSE.
 */
export async function startAdmin(options: AdminOptions): Promise<AdminListener> {
  const routes = new Map<string | undefined, () => Promise<Answer>>([
    ['/healthz', async () => ({ status: 200, body: { status: 'ok' } })],
    ['/readyz', () => readyz(options)],
  ])
  const server = createServer({ headersTimeout: 5000, requestTimeout: 10_000 }, async (request, response) => {
    const route = request.method === 'GET' ? routes.get(request.url) : undefined
    const { status, body } = route ? await route() : { status: 404, body: { status: 'not found' } }
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    response.end(JSON.stringify(body))
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
  const problems = Object.entries(await readiness().catch(() => CHECK_FAILED))
  // Last: it may have begun during the checks.
  const isDraining = draining()
  const ready = problems.every(([, problem]) => problem === null) && !isDraining
  const checks = Object.fromEntries(problems.map(([name, problem]) => [name, problem ?? 'ok']))
  return {
    status: ready ? 200 : 503,
    body: { status: ready ? 'ready' : 'not ready', checks: { ...checks, draining: isDraining } },
  }
}
