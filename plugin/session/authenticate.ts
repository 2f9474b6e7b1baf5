import type { Audit } from '../grant/audit.ts'
import {
  type ChallengeProblem,
  challenge,
  credentialsOf,
  isDpopScheme,
  type TokenScheme,
  tokenIn,
} from '../oauth/bearer.ts'
import { OAuthError, type Reason } from '../oauth/errors.ts'
import { StoreError } from '../stores/store.ts'
import type { DpopProofs } from './dpop/proofs.ts'
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

/** What the check asks, and whom it tells. */
export interface Checked {
  readonly sessions: Pick<SessionResolver, 'resolve'>
  readonly proofs: Pick<DpopProofs, 'check' | 'isOffered' | 'nonce'>
  readonly audit: Audit
  readonly realm: string
  /** Milliseconds of the store's clock. */
  readonly now: () => number
}

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
 * The check before every protected resource: one credential, a live session that is for it, the proof of the key that
 * its token is bound to, the scopes, and how the person has signed in where that is demanded. Whatever it refuses it records, once,
 * as `forward.denied` (J-04).
 *
 * The returned function gives a cached session at once, any other by a promise.
 * @throws OAuthError with the challenge of RFC 6750 §3, RFC 9449 §7.1 or RFC 9470 §3 in its headers (requirements H-05,
 *   H-06, O-02, S-04).
 */
export function createAuthenticate({ sessions, proofs, audit, realm, now }: Checked): Authenticate {
  return function authenticate(request, scopes = NO_SCOPES, authentication, resource) {
    let session: Session | Promise<Session>
    let credentials = ''
    try {
      credentials = credentialsOf(request.raw.rawHeaders, request.raw.url ?? '')
      session = sessions.resolve(tokenIn(credentials))
    } catch (error) {
      throw refusal(error, request, credentials)
    }
    const demands = { scopes, authentication, resource }
    if (session instanceof Promise) return awaitSession(session, request, credentials, demands)
    if (session.jkt !== undefined || isDpopScheme(credentials)) assertProved(session, request, credentials)
    return admit(session, request, demands)
  }

  async function awaitSession(
    resolving: Promise<Session>,
    request: ProtectedRequest,
    credentials: string,
    demands: Demands,
  ): Promise<Session> {
    const session = await resolving.catch((error: unknown) => {
      throw refusal(error, request, credentials)
    })
    if (session.jkt !== undefined || isDpopScheme(credentials)) assertProved(session, request, credentials)
    return admit(session, request, demands)
  }

  /** A bound token goes with a proof of its key, and no other token does (RFC 9449 §7.1, §7.2). */
  function assertProved(session: Session, request: ProtectedRequest, credentials: string): void {
    try {
      if (session.jkt === undefined) throw new OAuthError('token_not_bound')
      if (!isDpopScheme(credentials)) throw new OAuthError('token_bound')
      proofs.check(request, session)
    } catch (error) {
      if (!(error instanceof OAuthError) || error.statusCode >= 500) throw error
      // To ask for another nonce is how the protocol goes on, every half minute of a client.
      if (error.reason !== 'dpop_nonce') recordDenial(session, request, error.reason)
      throw challenged(error, schemeOf(session), { description: error.message }, 401)
    }
  }

  function admit(
    session: Session,
    request: ProtectedRequest,
    { scopes = NO_SCOPES, authentication, resource }: Demands,
  ): Session {
    if (session.resources !== undefined && !isFor(session.resources, resource)) {
      recordDenial(session, request, 'token_resource_mismatch')
      throw challenged(new OAuthError('token_resource_mismatch'), schemeOf(session))
    }
    for (const scope of scopes) {
      if (session.scope.includes(scope)) continue
      recordDenial(session, request, 'scope_insufficient')
      throw challenged(new OAuthError('scope_insufficient'), schemeOf(session), { scope: scopes })
    }
    const weakness = authentication && findWeakness(session, authentication, now())
    if (weakness === undefined) return session
    recordDenial(session, request, weakness.reason)
    throw challenged(weakness, schemeOf(session), { authentication })
  }

  function recordDenial(session: Session, request: ProtectedRequest, reason: Reason): void {
    const { grantId: id, clientId, issuer: provider, subject } = session
    audit.record('forward.denied', { request, grant: { id, clientId, provider, subject }, reason })
  }

  /** Recorded, and with its challenge; an outage of the store is a 503, never "not signed in". */
  function refusal(error: unknown, request: ProtectedRequest, credentials: string): unknown {
    if (error instanceof StoreError) {
      audit.record('store.unavailable', { request })
      return new OAuthError('store_unavailable', { cause: error })
    }
    if (!(error instanceof OAuthError) || error.statusCode >= 500) return error
    const { reason } = error
    if (ALARMING.has(reason)) audit.record('session.unreadable', { request, reason })
    audit.record('forward.denied', { request, reason })
    return challenged(error, isDpopScheme(credentials) ? 'DPoP' : 'Bearer')
  }

  /** For the scheme that the token has or needs; who has no token that counts hears of the other one, too. */
  function challenged(
    { reason, cause, error, message: description, statusCode }: OAuthError,
    scheme: TokenScheme,
    more: Partial<ChallengeProblem> = {},
    status = statusCode,
  ): OAuthError {
    const challenges = [challenge(realm, { error, description, ...more }, scheme)]
    if (scheme === 'DPoP') {
      return new OAuthError(reason, { cause, status, challenges, headers: { 'dpop-nonce': proofs.nonce } })
    }
    if (status === 401 && proofs.isOffered && more.authentication === undefined) {
      challenges.push(challenge(realm, undefined, 'DPoP'))
    }
    return new OAuthError(reason, { cause, status, challenges })
  }
}

function schemeOf({ jkt }: Session): TokenScheme {
  return jkt === undefined ? 'Bearer' : 'DPoP'
}

/** A resource without a name is none of those that a token was restricted to (N-02). */
function isFor(resources: readonly string[], resource: string | null | undefined): boolean {
  return resource === null || (resource !== undefined && resources.includes(resource))
}
