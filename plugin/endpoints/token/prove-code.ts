import type { FastifyRequest } from 'fastify'
import type { ActiveGrant, AuthorizedGrant } from '../../grant/grant.ts'
import type { StoredGrant } from '../../grant/grants.ts'
import { OAuthError, type Reason } from '../../oauth/errors.ts'
import { verifyCodeVerifier } from '../../oauth/pkce.ts'
import type { RegisteredClient } from '../../options/resolved.ts'
import { type Handle, hashCredential, sameHash } from '../../secrets/handles.ts'
import { endPresented } from '../end-presented.ts'
import type { Services } from '../services.ts'

/** What a token request presents with its code, its syntax already checked. */
export interface PresentedCode {
  readonly code: string
  readonly redirectUri: string
  readonly codeVerifier: string
}

/**
 * The code's secret, then client, redirect_uri, expiry and verifier. A wrong secret has no effect; once it
 * matches, any other mismatch ends the grant (C-12).
 */
export async function proveCode(
  services: Services,
  request: FastifyRequest,
  client: RegisteredClient,
  presented: PresentedCode,
  handle: Handle,
  stored: StoredGrant,
): Promise<StoredGrant<AuthorizedGrant>> {
  const { grant } = stored
  switch (grant.status) {
    case 'authorizing':
      throw new OAuthError('code_unknown')
    case 'ended':
      throw new OAuthError('grant_ended')
    case 'authorized': {
      if (!sameHash(grant.codeHash, hashCredential(handle.value))) throw new OAuthError('code_unknown')
      const mismatch = findMismatch(client, presented, grant, grant.codeExpiresAt, services.grants.now())
      if (!mismatch) return stored as StoredGrant<AuthorizedGrant>
      await services.grants.end(stored, 'code_mismatch')
      const event = mismatch === 'code_verifier_mismatch' ? 'code.verifier_mismatch' : 'code.mismatch'
      services.audit.record(event, {
        request,
        grantId: grant.id,
        clientId: client.clientId,
        reason: mismatch,
      })
      throw new OAuthError(mismatch)
    }
    case 'redeeming': {
      if (!sameHash(grant.codeHash, hashCredential(handle.value))) throw new OAuthError('code_unknown')
      if (!findMismatch(client, presented, grant)) throw duplicate(services, request, grant)
      throw new OAuthError('code_unknown')
    }
    case 'active':
      throw await answerReplay(
        services,
        request,
        client,
        presented,
        handle,
        stored as StoredGrant<ActiveGrant>,
      )
  }
}

/** Which binding fails, if any. Always computes the challenge, so that the answers take the same time (C-20). */
function findMismatch(
  client: RegisteredClient,
  presented: PresentedCode,
  bound: { clientId?: string; redirectUri: string; codeChallenge: string },
  expiresAt = Number.POSITIVE_INFINITY,
  now = 0,
): Extract<Reason, `code_${string}`> | undefined {
  const verifierProved = verifyCodeVerifier(presented.codeVerifier, bound.codeChallenge)
  if (bound.clientId !== client.clientId) return 'code_client_mismatch'
  if (bound.redirectUri !== presented.redirectUri) return 'code_redirect_uri_mismatch'
  if (expiresAt <= now) return 'code_expired'
  return verifierProved ? undefined : 'code_verifier_mismatch'
}

/** Two good requests with one code while the exchange runs: apps that handle a redirect twice are common (C-15). */
export function duplicate(
  services: Services,
  request: FastifyRequest,
  grant: { id: string; clientId: string },
): OAuthError {
  services.audit.record('code.duplicate', {
    request,
    grantId: grant.id,
    clientId: grant.clientId,
    reason: 'code_in_use',
  })
  return new OAuthError('code_in_use')
}

/** A used code again. Only one that proves everything ends the grant; the rest would be a way to log others out (C-14). */
async function answerReplay(
  services: Services,
  request: FastifyRequest,
  client: RegisteredClient,
  presented: PresentedCode,
  handle: Handle,
  stored: StoredGrant<ActiveGrant>,
): Promise<OAuthError> {
  const { code, clientId, id } = stored.grant
  const remembered = code && code.forgottenAt > services.grants.now() ? code : undefined
  if (!remembered || !sameHash(remembered.hash, hashCredential(handle.value)))
    return new OAuthError('code_unknown')
  if (findMismatch(client, presented, { ...remembered, clientId })) return new OAuthError('code_unknown')

  services.audit.record('code.replay', { request, grantId: id, clientId, reason: 'code_replayed' })
  const { key } = remembered
  await endPresented(services, request, stored, 'code_replayed', {
    holder: 'code',
    secret: handle.secret,
    key,
  })
  return new OAuthError('code_replayed')
}
