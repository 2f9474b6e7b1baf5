import type { CompactVerifyResult, JWTVerifyGetKey } from 'jose'
import * as errors from 'jose/errors'
import { compactVerify } from 'jose/jws/compact/verify'
import { issProblem, tenantOf } from '../../options/provider/tenants.ts'
import type { ResolvedProvider } from '../../options/resolved.ts'
import type { Claims } from '../provider.ts'

/** Signatures only: no `none`, and nothing keyed with a secret that a public key could pass for. */
export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]

/** Whose claims are accepted, for whom, and by how much clocks may differ. */
export type TrustedClaims = Pick<
  ResolvedProvider,
  'issuer' | 'tenants' | 'clientId' | 'trustedAudiences' | 'clockToleranceSeconds'
>

/** A check that does not hold: the claim, and what is wrong in words of our own. */
export interface ClaimFailure {
  readonly claim: string
  readonly words: string
}

/**
 * Verifies the signature of a JWT by a key of its `kid`; where several keys have it, each of them is tried (F-13).
 * An unknown `crit` is refused, and so is an encrypted token. The claims are not checked yet; `null` counts as absent.
 * Source: RFC 7515 §4.1.11, §5.2; F-14.
 *
 * @throws jose's errors, or the ProviderError of a key fetch.
 */
export async function verifySignature(
  jwt: string,
  keys: JWTVerifyGetKey,
): Promise<{ claims: Claims; alg: string; typ: unknown }> {
  const { payload, protectedHeader } = await verifyWithAnyKey(jwt, keys)
  if (protectedHeader.b64 === false) throw new errors.JWTInvalid('unencoded payload')
  return { claims: parseClaims(payload), alg: protectedHeader.alg, typ: protectedHeader.typ }
}

async function verifyWithAnyKey(jwt: string, keys: JWTVerifyGetKey): Promise<CompactVerifyResult> {
  const options = { algorithms: ALGORITHMS }
  try {
    return await compactVerify(jwt, keys, options)
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
    for await (const key of error) {
      try {
        return await compactVerify(jwt, key, options)
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure
      }
    }
    throw new errors.JWSSignatureVerificationFailed()
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function parseClaims(payload: Uint8Array): Claims {
  let claims: unknown
  try {
    claims = JSON.parse(utf8.decode(payload))
  } catch {
    throw new errors.JWTInvalid('no JSON')
  }
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) {
    throw new errors.JWTInvalid('no JSON object')
  }
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null))
}

/**
 * Checks who has issued the claims and for whom: `iss` is the provider's issuer, and its tenant that of `tid`; `aud` has our client_id, and every
 * other audience is one of `trustedAudiences`, unless `azp` says that we are the party that asked.
 * Source: OIDC Core §3.1.3.7 (2) to (5), F-14.
 */
export function findIssuerFailure(claims: Claims, trusted: TrustedClaims): ClaimFailure | undefined {
  const { iss, tid, azp } = claims
  const { tenants, clientId, trustedAudiences } = trusted
  const problem = issProblem(iss, trusted)
  if (problem) return { claim: 'iss', words: problem }
  if (tenants && tid !== undefined && tid !== tenantOf(iss, trusted)) {
    return { claim: 'tid', words: 'another tenant than that of iss' }
  }
  const audiences = [claims.aud].flat()
  if (!audiences.includes(clientId)) return { claim: 'aud', words: 'does not name our client_id' }
  if (azp !== undefined && azp !== clientId) return { claim: 'azp', words: 'issued to another client' }
  const isTrusted = (audience: unknown) =>
    audience === clientId || trustedAudiences.includes(audience as string)
  if (azp === undefined && !audiences.every(isTrusted)) {
    return { claim: 'aud', words: 'names others besides us: check provider.trustedAudiences' }
  }
  return undefined
}

/**
 * Checks `exp`, `nbf` and `iat`, as far as they are there (RFC 7519 §4.1.4 to §4.1.6).
 *
 * @param nowSeconds whole seconds.
 */
export function findTimeFailure(
  { exp, nbf, iat }: Claims,
  nowSeconds: number,
  { clockToleranceSeconds }: TrustedClaims,
): ClaimFailure | undefined {
  for (const [claim, value] of Object.entries({ exp, nbf, iat })) {
    if (value !== undefined && typeof value !== 'number') return { claim, words: 'is not a number' }
  }
  const [expires, begins, issued] = [exp, nbf, iat] as (number | undefined)[]
  const checkClocks = (claim: string, words: string) => ({ claim, words: `${words}: check the clocks` })
  if (expires !== undefined && expires <= nowSeconds - clockToleranceSeconds) {
    return checkClocks('exp', `expired ${Math.ceil(nowSeconds - expires)} s ago`)
  }
  if (begins !== undefined && begins > nowSeconds + clockToleranceSeconds) {
    return checkClocks('nbf', `not valid before ${Math.ceil(begins - nowSeconds)} s from now`)
  }
  if (issued !== undefined && issued > nowSeconds + clockToleranceSeconds) {
    return checkClocks('iat', `issued ${Math.ceil(issued - nowSeconds)} s in the future`)
  }
  return undefined
}
