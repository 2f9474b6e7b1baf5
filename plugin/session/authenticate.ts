import type { FastifyRequest } from 'fastify'
import type { Audit, AuditedRequest } from '../grant/audit.ts'
import { bearerToken, challenge } from '../oauth/bearer.ts'
import { OAuthError, StoreError } from '../oauth/errors.ts'
import type { SessionResolver } from './resolver.ts'
import type { Session } from './session.ts'

/** What the check looks at: any `FastifyRequest` is one. */
export type ProtectedRequest = AuditedRequest & {
  readonly raw: Pick<FastifyRequest['raw'], 'rawHeaders' | 'url'>
}

/** @see createAuthenticate */
export type Authenticate = (
  request: ProtectedRequest,
  scopes?: readonly string[],
) => Session | Promise<Session>

const NO_SCOPES: readonly string[] = []

/**
 * The check before every protected resource: one credential, a live session, and the scopes.
 *
 * The returned function answers at once for a cached session and by a promise otherwise.
 * @throws OAuthError with the challenge of RFC 6750 §3 in its headers (requirements H-05, H-06).
 */
export function createAuthenticate(sessions: SessionResolver, audit: Audit, realm: string): Authenticate {
  return function authenticate(request, scopes = NO_SCOPES) {
    try {
      const session = sessions.resolve(bearerToken(request.raw.rawHeaders, request.raw.url ?? ''))
      if (!(session instanceof Promise)) return requireScopes(session, scopes)
      return session.then(
        (resolved) => requireScopes(resolved, scopes),
        (error: unknown) => {
          throw refusal(error, request)
        },
      )
    } catch (error) {
      throw refusal(error, request)
    }
  }

  function requireScopes(session: Session, scopes: readonly string[]): Session {
    for (const scope of scopes) {
      if (!session.scope.includes(scope)) {
        const { error, message: description } = new OAuthError('scope_insufficient')
        const header = challenge(realm, { error, description, scope: scopes })
        throw new OAuthError('scope_insufficient', { headers: { 'www-authenticate': header } })
      }
    }
    return session
  }

  /** With its challenge; an outage of the store is a 503, never "not signed in". */
  function refusal(error: unknown, request: ProtectedRequest): unknown {
    if (error instanceof StoreError) {
      audit.record('store.unavailable', { request })
      return new OAuthError('store_unavailable', { cause: error })
    }
    if (error instanceof OAuthError && error.reason === 'token_sealed') {
      audit.record('session.unreadable', { request, reason: error.reason })
    }
    if (!(error instanceof OAuthError) || error.headers['www-authenticate'] !== undefined) return error
    if (error.statusCode >= 500) return error
    const header = challenge(realm, { error: error.error, description: error.message })
    return new OAuthError(error.reason, { cause: error.cause, headers: { 'www-authenticate': header } })
  }
}
