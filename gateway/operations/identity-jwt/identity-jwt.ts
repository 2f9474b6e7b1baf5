import { hash, sign } from 'node:crypto'
import { randomHex } from '../../../plugin/api/internal.ts'
import type { Session } from '../../../plugin/index.ts'
import type { IdentityToken } from '../../forward/headers/identity-tokens.ts'
import { type OpenedKey, TOKEN_MS } from './key-record.ts'

/** Whose token it is, and for whom. */
export interface IdentityClaims {
  readonly issuer: string
  readonly audience: string
  /** Names of claims of the session that are told besides. */
  readonly claims: readonly string[]
}

/** Ours to say. */
const OWN = new Set([
  ...['iss', 'aud', 'sub', 'exp', 'nbf', 'iat', 'jti', 'client_id', 'scope', 'sid', 'identity_provider'],
  // What gives a token a meaning that is not ours to give: RFC 7800, RFC 8693, RFC 9396, OIDC Core §2.
  ...['cnf', 'act', 'may_act', 'authorization_details', 'nonce', 'azp', 'acr', 'amr', 'auth_time', 'events'],
])

const headers = new WeakMap<OpenedKey, string>()

/**
 * Signs who is calling, for one upstream: an access token of ours in the form of RFC 9068, so that an upstream can
 * check it as it checks those of any other authorization server, and nobody can take it for an ID token.
 *
 * It lives for a minute, or until the session ends. Synchronous: no I/O, and no other thread, which costs more than
 * a signature by P-256.
 *
 * @param now milliseconds, by the store's clock.
 * Source: RFC 9068 §2, RFC 8725 §3.11, RFC 7518 §3.4; requirements Q-11.
 */
export function signIdentity(
  key: OpenedKey,
  session: Session,
  { issuer, audience, claims }: IdentityClaims,
  now: number,
): IdentityToken {
  const endsAt = Math.min(now + TOKEN_MS, session.expiresAt)
  const told: Record<string, unknown> = {}
  for (const name of claims) {
    if (!OWN.has(name) && session.claims[name] !== undefined) told[name] = session.claims[name]
  }
  const payload = {
    ...told,
    iss: issuer,
    aud: audience,
    sub: session.subject,
    // Subjects are unique at their provider, and nowhere else (M-05).
    identity_provider: session.issuer,
    client_id: session.clientId,
    scope: session.scope.join(' '),
    sid: sessionId(session.grantId),
    jti: randomHex(16),
    iat: Math.floor(now / 1000),
    exp: Math.floor(endsAt / 1000),
  }
  const input = `${headerOf(key)}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`
  const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  return { token: `${input}.${signature.toString('base64url')}`, lifeMs: Math.max(0, endsAt - now) }
}

/**
 * Names the session for an upstream: the same for all of its tokens. It leads back to no grant, whose id is a part of
 * each of its handles.
 */
export function sessionId(grantId: string): string {
  return hash('sha256', `fastify-pkce sid\0${grantId}`, 'base64url').slice(0, 22)
}

function headerOf(key: OpenedKey): string {
  let header = headers.get(key)
  if (header === undefined) {
    const { kid } = key.publicJwk
    header = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid })).toString('base64url')
    headers.set(key, header)
  }
  return header
}
