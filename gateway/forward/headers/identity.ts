import type { Session } from '../../../plugin/index.ts'
import type { UpstreamRoute } from '../upstream/route.ts'
import type { PreparedFields } from './identity-tokens.ts'

/** Everything but visible ASCII, and `%`, so that decoding gives back the claim. */
const ENCODED = /[^\x21-\x24\x26-\x7e]+/g

/**
 * The fields that tell an upstream who is calling: `Authorization` and the identity headers.
 *
 * A signed identity is used for half of its life, so that it has as much again on its way.
 * A claim that the session lacks gives no field; one that is not a string, number or boolean is sent as JSON.
 * Values are percent-encoded UTF-8 where they are not visible ASCII, so a claim cannot end the field.
 * @param now by `performance.now()`. Source: RFC 9110 §5.5; requirements H-15, H-16, Q-11.
 */
export function sessionFields(session: Session, route: UpstreamRoute, now: number): PreparedFields {
  const fields: string[] = []
  let freshUntil = Number.POSITIVE_INFINITY
  const signer = route.identityTokens?.()
  if (signer !== undefined) {
    const { token, lifeMs } = signer.sign(session, route.audience, route.identityClaims)
    fields.push('authorization', `Bearer ${token}`)
    freshUntil = now + lifeMs / 2
  }
  if (route.sendsProviderToken) fields.push('authorization', session.providerAuthorization)
  for (const [header, claim] of route.identityHeaders) {
    const value = claimOf(session, claim)
    if (value !== undefined && value !== null) fields.push(header, encodeClaim(value))
  }
  return { fields, freshUntil, revision: signer?.revision ?? 0 }
}

/** Who it is, by `iss` and `sub` together, is known of every session (requirements M-05). */
function claimOf(session: Session, claim: string): unknown {
  if (claim === 'sub') return session.subject
  return session.claims[claim] ?? (claim === 'iss' ? session.issuer : undefined)
}

/** @see sessionFields */
export function encodeClaim(value: unknown): string {
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  return text.replace(ENCODED, (part) => {
    const hex = Buffer.from(part, 'utf8').toString('hex').toUpperCase()
    return hex.replace(/../g, '%$&')
  })
}
