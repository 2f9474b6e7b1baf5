import type { AuditedGrant } from '../../../grant/audit-events.ts'
import type { ActiveGrant, AuthorizedGrant, RedeemingGrant } from '../../../grant/grant.ts'
import type { StoredGrant } from '../../../grant/grants.ts'
import { OAuthError, type Reason } from '../../../oauth/errors.ts'
import { verifyCodeVerifier } from '../../../oauth/pkce.ts'
import { type Handle, hashCredential, sameHash } from '../../../secrets/handles.ts'
import type { TokenRequest } from '../token-request.ts'

/** What a token request presents with its code, its syntax already checked. */
export interface PresentedCode {
  readonly code: string
  /** Undefined: left out, which proves nothing and contradicts nothing (OAuth 2.1 draft §10.2, requirements C-13). */
  readonly redirectUri: string | undefined
  readonly codeVerifier: string
  /** What the access token is to be for (RFC 8707 §2.2). Undefined: all that was granted. */
  readonly resources?: readonly string[] | undefined
}

/** The grant of a proved code. Any but `authorized` is the repetition of a client that may repeat (C-25). */
export type ProvedGrant = StoredGrant<AuthorizedGrant | RedeemingGrant | ActiveGrant>

/**
 * The code's secret, then client, redirect_uri, expiry, verifier, and the key of `dpop_jkt` (RFC 9449 §10). A wrong
 * secret has no effect; once it matches, any other mismatch ends the grant (C-12).
 */
export async function proveCode(
  request: TokenRequest,
  presented: PresentedCode,
  handle: Handle,
  stored: StoredGrant,
): Promise<ProvedGrant> {
  const { grant } = stored
  const { grants } = request.services
  switch (grant.status) {
    case 'authorizing':
      throw new OAuthError('code_unknown')
    case 'ended':
      throw new OAuthError('grant_ended')
    case 'authorized': {
      if (!sameHash(grant.codeHash, hashCredential(handle.value))) throw new OAuthError('code_unknown')
      const isExpired = grant.codeExpiresAt <= grants.now()
      const mismatch = findMismatch(request, presented, grant, isExpired)
      if (!mismatch) return stored as ProvedGrant
      if (!(await grants.endUnlessChanged(stored, 'code_mismatch'))) {
        // The code was used meanwhile, and what proves nothing must not end that session (C-14): judge again.
        const latest = await grants.read(grant.id)
        if (!latest) throw new OAuthError('code_unknown')
        return proveCode(request, presented, handle, latest)
      }
      const event = mismatch === 'code_verifier_mismatch' ? 'code.verifier_mismatch' : 'code.mismatch'
      request.record(event, { grant, reason: mismatch })
      request.services.observer.login('proved', 'refused', grant.clientId)
      throw new OAuthError(mismatch)
    }
    case 'redeeming': {
      if (!sameHash(grant.codeHash, hashCredential(handle.value))) throw new OAuthError('code_unknown')
      if (findMismatch(request, presented, grant)) throw new OAuthError('code_unknown')
      if (request.client.repeatableExchange) return stored as ProvedGrant
      throw refuseDuplicate(request, grant)
    }
    case 'active':
      return proveUsedCode(request, presented, handle, stored as StoredGrant<ActiveGrant>)
  }
}

/** Which binding fails, if any. Always computes the challenge, so that the responses take the same time (C-20). */
function findMismatch(
  { client, jkt }: TokenRequest,
  presented: PresentedCode,
  bound: { clientId?: string; redirectUri: string; codeChallenge: string; dpopJkt?: string },
  isExpired = false,
): Extract<Reason, `code_${string}`> | undefined {
  const verifierProved = verifyCodeVerifier(presented.codeVerifier, bound.codeChallenge)
  if (bound.clientId !== client.clientId) return 'code_client_mismatch'
  if (presented.redirectUri !== undefined && presented.redirectUri !== bound.redirectUri) {
    return 'code_redirect_uri_mismatch'
  }
  if (isExpired) return 'code_expired'
  if (!verifierProved) return 'code_verifier_mismatch'
  return bound.dpopJkt === undefined || bound.dpopJkt === jkt ? undefined : 'code_key_mismatch'
}

/**
 * Two good requests with one code, at the same time or shortly one after the other: apps that handle a redirect twice
 * are common, and so are answers that are lost on a phone (C-14, C-15).
 *
 * @returns the refusal, recorded.
 */
export function refuseDuplicate(request: TokenRequest, grant: AuditedGrant): OAuthError {
  request.record('code.duplicate', { grant, reason: 'code_in_use' })
  return new OAuthError('code_in_use')
}

/**
 * A used code again. Only one that proves everything, and comes later than the app itself would, ends the grant; the
 * rest would be a way to log others out (C-14).
 *
 * @returns the grant, if the client may repeat.
 */
async function proveUsedCode(
  request: TokenRequest,
  presented: PresentedCode,
  handle: Handle,
  stored: StoredGrant<ActiveGrant>,
): Promise<ProvedGrant> {
  const { code, clientId, activatedAt } = stored.grant
  const { grants, options } = request.services
  const remembered = code && code.forgottenAt > grants.now() ? code : undefined
  if (!remembered || !sameHash(remembered.hash, hashCredential(handle.value))) {
    throw new OAuthError('code_unknown')
  }
  if (findMismatch(request, presented, { ...remembered, clientId })) {
    throw new OAuthError('code_unknown')
  }
  if (grants.now() < activatedAt + options.lifetimes.duplicateSeconds * 1000) {
    if (request.client.repeatableExchange) return stored
    throw refuseDuplicate(request, stored.grant)
  }
  request.record('code.replay', { grant: stored.grant, reason: 'code_replayed' })
  const { key } = remembered
  await request.endGrant({ stored, holder: 'code', secret: handle.secret, key }, 'code_replayed')
  throw new OAuthError('code_replayed')
}
