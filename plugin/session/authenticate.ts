import type { Audit } from '../grant/audit.ts'
import { bearerToken, challenge } from '../oauth/bearer.ts'
import { OAuthError, type Reason } from '../oauth/errors.ts'
import { StoreError } from '../stores/store.ts'
import type { SessionResolver } from './resolver.ts'
import type { ProtectedRequest, Session } from './session.ts'
import { findWeakness, type RequiredAuthentication } from './step-up.ts'

/** @see createAuthenticate */
export type Authenticate = (
  request: ProtectedRequest,
  scopes?: readonly string[],
  authentication?: RequiredAuthentication,
  /** What the request is for (RFC 8707). Null: nothing but the token itself, which any may ask about. */
  resource?: string | null,
) => Session | Promise<Session>

/** What a resource demands of a session. */
interface Demands {
  readonly scopes?: readonly string[]
  readonly authentication?: RequiredAuthentication | undefined
  readonly resource?: string | null | undefined
}

const NO_SCOPES: readonly string[] = []
/** No caller can bring these about: a server secret is gone, or one provider token stands for two subjects. */
const ALARMING = new Set<Reason>(['token_sealed', 'token_subject_mismatch'])

/**
 * The check before every protected resource: one credential, a live session that is for it, the scopes, and how the
 * person has signed in where that is demanded. Whatever it refuses it records, once, as `forward.denied` (J-04).
 *
 * The returned function gives a cached session at once, any other by a promise.
 * @param now milliseconds of the store's clock.
 * @throws OAuthError with the challenge of RFC 6750 §3 or RFC 9470 §3 in its headers (requirements H-05, H-06, S-04).
 */
export function createAuthenticate(
  sessions: Pick<SessionResolver, 'resolve'>,
  audit: Audit,
  realm: string,
  now: () => number,
): Authenticate {
  return function authenticate(request, scopes = NO_SCOPES, authentication, resource) {
    let session: Session | Promise<Session>
    try {
      session = sessions.resolve(bearerToken(request.raw.rawHeaders, request.raw.url ?? ''))
    } catch (error) {
      throw refusal(error, request)
    }
    return session instanceof Promise
      ? awaitSession(session, request, { scopes, authentication, resource })
      : admit(session, request, { scopes, authentication, resource })
  }

  async function awaitSession(
    resolving: Promise<Session>,
    request: ProtectedRequest,
    demands: Demands,
  ): Promise<Session> {
    const session = await resolving.catch((error: unknown) => {
      throw refusal(error, request)
    })
    return admit(session, request, demands)
  }

  function admit(
    session: Session,
    request: ProtectedRequest,
    { scopes = NO_SCOPES, authentication, resource }: Demands,
  ): Session {
    if (session.resources !== undefined && !isFor(session.resources, resource)) {
      recordDenial(session, request, 'token_resource_mismatch')
      throw challenged(new OAuthError('token_resource_mismatch'))
    }
    for (const scope of scopes) {
      if (session.scope.includes(scope)) continue
      recordDenial(session, request, 'scope_insufficient')
      throw challenged(new OAuthError('scope_insufficient'), { scopes })
    }
    const weakness = authentication && findWeakness(session, authentication, now())
    if (weakness === undefined) return session
    recordDenial(session, request, weakness.reason)
    throw challenged(weakness, { authentication })
  }

  function recordDenial(session: Session, request: ProtectedRequest, reason: Reason): void {
    const { grantId: id, clientId, issuer: provider, subject } = session
    audit.record('forward.denied', { request, grant: { id, clientId, provider, subject }, reason })
  }

  /** Recorded, and with its challenge; an outage of the store is a 503, never "not signed in". */
  function refusal(error: unknown, request: ProtectedRequest): unknown {
    if (error instanceof StoreError) {
      audit.record('store.unavailable', { request })
      return new OAuthError('store_unavailable', { cause: error })
    }
    if (!(error instanceof OAuthError) || error.statusCode >= 500) return error
    const { reason } = error
    if (ALARMING.has(reason)) audit.record('session.unreadable', { request, reason })
    audit.record('forward.denied', { request, reason })
    return challenged(error)
  }

  function challenged(error: OAuthError, { scopes: scope, authentication }: Demands = {}): OAuthError {
    const { reason, cause, message: description } = error
    const header = challenge(realm, { error: error.error, description, scope, authentication })
    return new OAuthError(reason, { cause, headers: { 'www-authenticate': header } })
  }
}

/** A resource without a name is none of those that a token was restricted to (N-02). */
function isFor(resources: readonly string[], resource: string | null | undefined): boolean {
  return resource === null || (resource !== undefined && resources.includes(resource))
}
