import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import type { ReloadOutcome } from '../reload/reload.ts'
import { Access } from './access.ts'
import { type Answer, refusal } from './answer.ts'
import { endOneSession, endSessions, listSessions } from './session-routes.ts'
import type { SessionOutcome, SessionRequest } from './sessions.ts'
import { packageVersion } from './version.ts'

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
  /** What `admin.tokenFile` holds now. */
  readonly token: () => string | undefined
  readonly sessions: (request: SessionRequest) => Promise<SessionOutcome>
  /** Resolves to null while there is nothing to reload: at the start and at the end. */
  readonly reload: () => Promise<ReloadOutcome | null>
  readonly log: Pick<FastifyBaseLogger, 'warn' | 'error'>
}

/** The second listener, for supervisors, load balancers and operators; never reachable through the public one. */
export interface AdminListener {
  /** E.g. `http://127.0.0.1:9090`. */
  readonly address: string
  close(): Promise<void>
}

/** What a path answers to, by method. HEAD is GET without a body (RFC 9110 §9.3.2). */
interface Route {
  /** Who may ask besides those whom `Access` lets in. Probes: anybody. Scrapers: anybody, until a token is set. */
  readonly openTo?: 'probes' | 'scrapers'
  readonly takesQuery?: true
  readonly GET?: Respond
  readonly POST?: Respond
  readonly DELETE?: Respond
}
type Respond = (query: string) => Promise<Answer>

const NOT_FOUND: Answer = { status: 404, body: { status: 'not found' } }
const METHODS = ['GET', 'POST', 'DELETE'] as const

/**
 * Starts the admin listener: `/healthz` (the process answers), `/readyz` (200 `ready`: a login can succeed now; 200
 * `degraded`: requests with a session can; 503 `not ready`), and the Admin API, which not everybody may use (`Access`);
 * `/metrics` (Q-04) is open to other machines until a token is set.
 *
 * Paths are exact; anything else, a query that nobody reads too, is 404 (requirements H-31, Q-06, S-01).
 * @throws the error of `listen`, e.g. EADDRINUSE.
 */
export async function startAdmin(options: AdminOptions): Promise<AdminListener> {
  const routes = routesOf(options)
  let access: Access
  const server = createServer({ headersTimeout: 5000, requestTimeout: 10_000 }, async (request, response) => {
    const { status, body, contentType, headers } = await answer(request).catch((err: unknown): Answer => {
      options.log.error({ err }, 'the admin listener failed')
      return { status: 500, body: { status: 'failed' } }
    })
    response.writeHead(status, {
      'content-type': contentType ?? 'application/json',
      'cache-control': 'no-store',
      ...headers,
    })
    response.end(contentType === undefined ? JSON.stringify(body) : String(body))
    request.resume()
  })
  server.listen(options.port, options.host)
  await once(server, 'listening')

  const { address, family, port } = server.address() as AddressInfo
  const { host, token, log } = options
  access = new Access({ address, host, token, log })
  return {
    address: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }

  async function answer(request: IncomingMessage): Promise<Answer> {
    const { url = '', method } = request
    const [path = '', ...rest] = url.split('?')
    const route = routes.get(path) ?? sessionRoute(path, options)
    if (route === undefined || (rest.length > 0 && !route.takesQuery)) return NOT_FOUND
    const known = METHODS.find((one) => one === (method === 'HEAD' ? 'GET' : method))
    const respond = known && route[known]
    if (respond === undefined) {
      const allow = METHODS.filter((one) => route[one]).flatMap((one) =>
        one === 'GET' ? [one, 'HEAD'] : [one],
      )
      return { ...refusal(405, `use ${allow.join(' or ')}`), headers: { allow: allow.join(', ') } }
    }
    const refused = route.openTo === 'probes' ? null : access.check(request, route.openTo === 'scrapers')
    return refused ?? respond(rest.join('?'))
  }
}

function routesOf(options: AdminOptions): ReadonlyMap<string, Route> {
  const { sessions, metrics } = options
  const routes = new Map<string, Route>([
    ['/healthz', { openTo: 'probes', GET: async () => ({ status: 200, body: { status: 'ok' } }) }],
    ['/readyz', { openTo: 'probes', GET: () => readyz(options) }],
    ['/version', { GET: async () => ({ status: 200, body: versions() }) }],
    ['/reload', { POST: () => reload(options) }],
    [
      '/sessions',
      {
        takesQuery: true,
        GET: (query) => listSessions(query, sessions),
        DELETE: (query) => endSessions(query, sessions),
      },
    ],
  ])
  if (metrics) routes.set('/metrics', { openTo: 'scrapers', GET: metrics })
  return routes
}

/** `/sessions/{grantId}` */
function sessionRoute(path: string, { sessions }: AdminOptions): Route | undefined {
  const [, grantId] = /^\/sessions\/([^/]+)$/.exec(path) ?? []
  return grantId === undefined ? undefined : { DELETE: () => endOneSession(grantId, sessions) }
}

function versions() {
  return { version: packageVersion(), node: process.versions.node }
}

/** 422: what is written cannot be used. Everything stays as it was then. */
async function reload({ reload }: AdminOptions): Promise<Answer> {
  const outcome = await reload()
  if (outcome === null) return refusal(409, 'the gateway is starting or closing')
  return { status: 'problems' in outcome ? 422 : 200, body: outcome }
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
