import type { onRequestHookHandler } from 'fastify'
import type { AuditEvents } from '../grant/audit-events.ts'
import type { CorsRequest } from '../http/cors.ts'
import type { ProtectedRequest, Session } from '../session/session.ts'
import type { RequiredAuthentication } from '../session/step-up.ts'

/** What the plugin adds to the instance: `app.pkce`. */
export interface Pkce {
  /** Our issuer, `publicUrl`. */
  readonly issuer: string
  /** Listens to audit events (requirements J-04): `app.pkce.events.on('code.replay', (event) => …)`. */
  readonly events: AuditEvents

  /**
   * An `onRequest` hook that lets a request pass only with a live session that holds all of `scopes`, and sets
   * `request.pkceSession`. Otherwise it fails with an `OAuthError`: 401, 403 or 400 and `WWW-Authenticate`
   * (RFC 6750 §3), or 503 when the store cannot answer. With `acr` or `maxAgeSeconds`, a login that was too weak or is
   * too old is a 401 that says what the app must ask for in its next authorization request (RFC 9470 §3). A token that
   * is bound to a key needs a DPoP proof for `publicUrl` with the path of the request (RFC 9449 §7).
   * `resource`: which of the option `resources` the route belongs to. A token that is for other ones is a 401, and so is
   * any restricted one where no `resource` is named (RFC 8707).
   * @throws TypeError for an `acr` that is no list, a `maxAgeSeconds` below 1, or a `resource` that is not configured.
   */
  requireSession(
    required?: { scopes?: readonly string[]; resource?: string } & RequiredAuthentication,
  ): onRequestHookHandler

  /**
   * The same check as a call, synchronous when the session is cached. What it refuses is in the audit trail already,
   * as `forward.denied`.
   * @throws OAuthError as `requireSession`.
   */
  authenticate(
    request: ProtectedRequest,
    scopes?: readonly string[],
    authentication?: RequiredAuthentication,
    resource?: string,
  ): Session | Promise<Session>

  /**
   * Calls `listener` once when the session has ended: revoked, replaced, expired, or not to be confirmed for five
   * seconds because the store is away. For whoever serves a session longer than one response takes: streams and
   * WebSockets. Costs one read of the store, and nothing until the grant changes.
   * @returns stops listening.
   */
  onSessionEnd(session: Session, listener: () => void): () => void

  /**
   * Response headers for whoever has called with a session whose token is bound to a key (RFC 9449 §8.2): the nonce
   * that its next proof needs. Empty for a bearer token. `requireSession` sets them by itself.
   */
  dpopHeaders(session: Session): Readonly<Record<string, string>>

  /** Response headers that let the browser script of `origin` read a response; empty if it may not. Without a
   *  session: origins of any client; with one: its own client's. */
  corsHeaders(origin: string | undefined, session?: Session): Readonly<Record<string, string>>

  /**
   * Response headers for the preflight of a route of your own (Fetch §3.2.2), or null if the request is none, or its
   * origin belongs to no client. Respond with them and 204, before any session check: a preflight has no credentials.
   * @param methods those of the route, e.g. `GET, POST`.
   */
  preflightHeaders(request: CorsRequest, methods: string): Readonly<Record<string, string>> | null

  /**
   * Ends one grant, or all of a subject's at a provider. Deletes the tokens held for it; the provider is not called, because
   * only a live handle opens them.
   * @param target `grant`: the eight digits that the log and audit events call it by. `issuer`: the provider's; may be left out where there is but one. Equal subjects of two providers
   * are two people (requirements M-05).
   * @returns how many were ended by this call. @throws StoreError
   * @throws TypeError where `issuer` is missing, or is no provider's; or where two live sessions have the same digits.
   */
  endSession(
    target: { grantId: string } | { grant: string } | { subject: string; issuer?: string },
  ): Promise<number>

  /**
   * The live grants of a subject at a provider, or those that a line of the log can mean by its `grant`.
   * @param issuer as above. @throws StoreError, TypeError
   */
  sessionsOf(of: string | { grant: string }, issuer?: string): Promise<SessionSummary[]>

  /**
   * For a readiness probe: what would keep each part from working now. `null`: nothing. `forwarding` is what live
   * sessions need; a login needs the others, too. Of
   * several providers those that are not ready are named; logins at the others work.
   */
  readiness(): Promise<{ forwarding: string | null; store: string | null; provider: string | null }>
}

/** A live grant, as an administrator may see it. */
export interface SessionSummary {
  readonly grantId: string
  /** What the log calls it by: eight hexadecimal digits that open nothing. */
  readonly grant: string
  readonly clientId: string
  readonly issuer: string
  readonly subject: string
  readonly scope: readonly string[]
  /** Milliseconds since the epoch, by the store's clock. */
  readonly createdAt: number
  /** The same; no refresh goes beyond it. */
  readonly expiresAt: number
}

/** What is declared in Fastify's name counts there before what is imported here, and @fastify/session has a `Session`. */
type PkceSession = Session

declare module 'fastify' {
  interface FastifyInstance {
    pkce: Pkce
  }
  interface FastifyRequest {
    /**
     * Set by `requireSession`; reading it on a route without that hook throws. Fastify has one type for the requests
     * of all routes, and `undefined` in it would have to be asked for on those that do have the hook: a forgotten hook
     * is an error then, and nobody's session.
     */
    readonly pkceSession: PkceSession
  }
}
