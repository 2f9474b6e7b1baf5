import { OAuthError, type Pkce, type ProtectedRequest, type Session } from '../../../plugin/index.ts'
import type { Refusal } from '../../http/refusals.ts'
import { refuseHost } from '../../http/request-target.ts'
import { answerEmpty, answerForbidden, answerOAuthError } from '../../listener/problem-details.ts'
import type { ClientRequest } from '../client-request.ts'
import { challengeOf, deny } from '../denial.ts'
import { preparedFields } from '../headers/upstream-fields.ts'
import { type Access, PublicRoute } from '../policy.ts'
import type { Routes } from '../routes.ts'
import type { UpstreamRoute } from '../upstream/route.ts'
import { isOriginAllowed } from '../websocket/handshake.ts'
import { originalRequest } from './original-request.ts'

export interface ForwardAuthOptions {
  /** Of the endpoint, e.g. `/oauth2/verify`. */
  readonly path: string
  /** Host values that are served. */
  readonly hosts: ReadonlySet<string>
  readonly routes: Routes
  /** Lower-case names of fields that only we may set. */
  readonly identityHeaders: readonly string[]
  readonly sessions: () => Pick<Pkce, 'authenticate' | 'corsHeaders' | 'dpopHeaders'>
}

/** Where a request that is asked about would go, or why it would not. */
type Judged = UpstreamRoute | Refusal

/**
 * The endpoint that a proxy asks before it forwards a request by itself: nginx auth_request, Traefik ForwardAuth,
 * Caddy forward_auth, Envoy ext_authz.
 *
 * It decides as the gateway would if the request came here, by the same routes and the same check of sessions. The
 * answer is 204 with what the upstream is to be told, 401 or 403 with the challenge, or 503. Since a 204 may hold the
 * provider's token, nobody but a proxy of `trustProxy` gets an answer at all.
 * Source: requirements Q-10; CVE-2026-40575.
 */
export class ForwardAuth {
  readonly #options: ForwardAuthOptions
  readonly #appended: string
  readonly #withQuery: string
  /** A proxy that copies what it gets must find each of them, or it would let the client's own pass. */
  readonly #empty: Readonly<Record<string, string>>

  constructor(options: ForwardAuthOptions) {
    this.#options = options
    this.#appended = `${options.path}/`
    this.#withQuery = `${options.path}?`
    const names = ['authorization', ...options.identityHeaders]
    this.#empty = Object.fromEntries(names.map((name) => [name, '']))
  }

  get path(): string {
    return this.#options.path
  }

  /** True for the endpoint's own path and what is below it. @param target as received. */
  serves(target: string): boolean {
    const { path } = this.#options
    return (
      target.startsWith(path) &&
      (target.length === path.length ||
        target.startsWith(this.#appended) ||
        target.startsWith(this.#withQuery))
    )
  }

  /** @returns resolves when it is answered; undefined: it is. */
  decide(request: ClientRequest): Promise<void> | undefined {
    const { raw, headers, context } = request
    if (!context.proxies.trusts(raw.socket)) {
      forbid(request, 'proxy_untrusted')
      return undefined
    }
    const { method = '', url = '' } = raw
    const appended = url.startsWith(this.#appended)
      ? { target: url.slice(this.#options.path.length), method }
      : undefined
    if (appended === undefined && method !== 'GET' && method !== 'HEAD') {
      request.refuse('method_not_allowed', { allow: 'GET, HEAD' })
      return undefined
    }
    const sessions = this.#options.sessions()
    request.answerFields = sessions.corsHeaders(headers.origin)
    const original = originalRequest(raw.rawHeaders, appended)
    const judged =
      typeof original === 'string'
        ? original
        : (this.#refuseMessage(request, original.hosts) ?? this.#judge(request, original))
    if (typeof original === 'string' || typeof judged === 'string') {
      forbid(request, judged as Refusal)
      return undefined
    }
    if (judged.publicRoute !== null) {
      this.#allow(request, judged, judged.publicRoute)
      return undefined
    }
    const asked = asProtected(request, original)
    const { scopes, authentication, publicBase } = judged
    return this.#authenticate(request, judged, () =>
      sessions.authenticate(asked, scopes, authentication, publicBase),
    )
  }

  /** Header rules of the message, which has the client's fields, and every host that it names. */
  #refuseMessage({ headers }: ClientRequest, named: readonly string[]): Refusal | null {
    if (headers.hasBody) return 'body_not_allowed'
    if (headers.fault !== null) return headers.fault
    for (const host of [headers.host, ...named]) {
      const refusal = refuseHost(host, this.#options.hosts)
      if (refusal !== null) return refusal
    }
    return null
  }

  /** Path, route and method as for a request that comes here. A preflight has no session and is no method of a route. */
  #judge({ headers, raw }: ClientRequest, { target, method }: { target: string; method: string }): Judged {
    const { routes } = this.#options
    const refusal = routes.refuseTarget(target)
    if (refusal !== null) return refusal
    const route = this.serves(target) ? undefined : routes.find(target)
    if (route === undefined || route === 'endpoint') return 'route_unknown'
    if (!route.methods.has(method)) return 'method_not_allowed'
    // Proxies take the Upgrade field away; what makes a handshake one is left.
    if (headers.websocket || raw.headers['sec-websocket-key'] !== undefined) {
      if (route.websocket === false) return 'upgrade_unsupported'
      if (!isOriginAllowed(headers.origin, route)) return 'origin_not_allowed'
    }
    return route
  }

  #authenticate(
    request: ClientRequest,
    route: UpstreamRoute,
    authenticate: () => Session | Promise<Session>,
  ): Promise<void> | undefined {
    try {
      const session = authenticate()
      if (session instanceof Promise)
        return session.then(
          (resolved) => this.#allow(request, route, request.found(resolved)),
          (error: unknown) => this.#deny(request, route, error),
        )
      this.#allow(request, route, session)
    } catch (error) {
      this.#deny(request, route, error)
    }
    return undefined
  }

  /** What a forward would say of the session, and of every other field of ours that there is nothing to say. */
  #allow(request: ClientRequest, route: UpstreamRoute, access: Access): void {
    // The proxy may have left while the session was looked up.
    if (request.response.destroyed) return
    const fields: Record<string, string> = { ...this.#empty }
    const known = access instanceof PublicRoute ? [] : preparedFields(access, route, request.startedAt)
    for (let i = 0; i < known.length; i += 2) fields[known[i]!] = known[i + 1]!
    if (!(access instanceof PublicRoute)) Object.assign(fields, this.#options.sessions().dpopHeaders(access))
    answerEmpty(request, 204, { ...fields, 'cache-control': 'no-store', 'x-request-id': request.id })
  }

  /** nginx knows no other refusals than 401 and 403. */
  #deny(request: ClientRequest, route: UpstreamRoute, error: unknown): void {
    const { sessions } = this.#options
    if (error instanceof OAuthError && error.statusCode === 400) {
      request.context.metrics?.refused(error.reason)
      const cors = sessions().corsHeaders(request.headers.origin)
      answerOAuthError(request, error, { ...cors, ...challengeOf(error, route) }, 403)
    } else deny(error, sessions(), request, route)
  }
}

function forbid(request: ClientRequest, refusal: Refusal): void {
  request.context.metrics?.refused(refusal)
  answerForbidden(request, refusal)
}

/** The request that is asked about, as the check of sessions looks at it: the query may hold a token (H-05), and a proof is for it. */
function asProtected(
  request: ClientRequest,
  { method, target }: { readonly method: string; readonly target: string },
): ProtectedRequest {
  return {
    id: request.id,
    log: request.log,
    get ip() {
      return request.ip
    },
    raw: { rawHeaders: request.raw.rawHeaders, method, url: target },
  }
}
