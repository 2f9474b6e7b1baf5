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
) => Session | Promise<Session>

/** What a resource demands of a session. */
interface Demands {
  readonly scopes?: readonly string[]
  readonly authentication?: RequiredAuthentication | undefined
}

const NO_SCOPES: readonly string[] = []
/** No caller can bring these about: a server secret is gone, or one provider token stands for two subjects. */
const ALARMING = new Set<Reason>(['token_sealed', 'token_subject_mismatch'])

/**
 * The check before every protected resource: one credential, a live session, the scopes, and how the person has signed
 * in where that is demanded. Whatever it refuses it records, once, as `forward.denied` (J-04).
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
  return function authenticate(request, scopes = NO_SCOPES, authentication) {
    let session: Session | Promise<Session>
    try {
      session = sessions.resolve(bearerToken(request.raw.rawHeaders, request.raw.url ?? ''))
    } catch (error) {
      throw refusal(error, request)
    }
    return session instanceof Promise
      ? awaitSession(session, request, { scopes, authentication })
      : admit(session, request, scopes, authentication)
  }

  async function awaitSession(
    resolving: Promise<Session>,
    request: ProtectedRequest,
    { scopes, authentication }: Required<Demands>,
  ): Promise<Session> {
    const session = await resolving.catch((error: unknown) => {
      throw refusal(error, request)
    })
    return admit(session, request, scopes, authentication)
  }

  function admit(
    session: Session,
    request: ProtectedRequest,
    scopes: readonly string[],
    authentication: RequiredAuthentication | undefined,
  ): Session {
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
