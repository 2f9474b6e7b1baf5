import type { JWTVerifyGetKey } from 'jose'
import { ProviderError } from '../../oauth/errors.ts'
import type { ResolvedProvider } from '../../options/resolved.ts'
import type { Metadata } from '../metadata/endpoints.ts'
import type { Claims, Provider } from '../provider.ts'
import type { Calls } from '../transport/calls.ts'
import { errorCode } from '../transport/network.ts'
import type { ProviderResponse } from '../transport/request.ts'
import { readResponse } from '../transport/response.ts'
import { AGAIN } from '../transport/retry.ts'
import { findIssuerFailure, findTimeFailure, type TrustedClaims, verifySignature } from './signed-claims.ts'

/** A JWS in compact form (RFC 7515 §7.1), and nothing else. */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]*$/

/**
 * The provider's userinfo endpoint (OIDC Core §5.3). A signed response is verified like an id_token: signature,
 * algorithm, `iss`, `aud`, and its times if it has them (§5.3.2, F-09). An encrypted one cannot be read. `sub` of the
 * claims is what `subjectClaim` says (F-17).
 *
 * @param accepted the metadata; it throws while there is none.
 * @param now the clock, in milliseconds.
 */
export function createUserinfo(options: {
  calls: Calls
  accepted: () => Metadata
  trusted: TrustedClaims & Pick<ResolvedProvider, 'subjectClaim'>
  keys: JWTVerifyGetKey
  now: () => number
}): Pick<Provider, 'userinfo'> {
  const { calls, accepted, trusted, keys, now } = options

  return {
    async userinfo(accessToken, subject) {
      // Whether it is signed is registered at the provider (OIDC Dynamic Client Registration §2), so it is not asked for.
      const authorization = `Bearer ${accessToken}`
      const response = await calls.get('userinfo', AGAIN, accepted().userinfo_endpoint!, { authorization })
      const claims = isSigned(response)
        ? await readSigned(response.text.trim())
        : readResponse('userinfo', response)
      const sub = subjectOf(claims[trusted.subjectClaim])
      if (sub === undefined) {
        throw invalid(`${trusted.subjectClaim}: no subject, check provider.subjectClaim`)
      }
      if (subject !== undefined && sub !== subject) {
        throw new ProviderError('provider_subject_mismatch', 'userinfo')
      }
      return { ...claims, sub }
    },
  }

  async function readSigned(jwt: string): Promise<Claims> {
    if (accepted().jwks_uri === undefined) throw invalid('signed, and there is no jwks_uri')
    const { claims } = await verifySignature(jwt, keys).catch((error: unknown) => {
      throw error instanceof ProviderError ? error : invalid(errorCode(error))
    })
    const failure =
      findIssuerFailure(claims, trusted) ?? findTimeFailure(claims, Math.floor(now() / 1000), trusted)
    if (failure) throw invalid(`${failure.claim}: ${failure.words}`)
    return claims
  }
}

/** Text of 1 to 255 characters, or a whole number that JSON has not rounded: two people must not become one. */
function subjectOf(claim: unknown): string | undefined {
  if (Number.isSafeInteger(claim)) return String(claim)
  return typeof claim === 'string' && claim !== '' && claim.length <= 255 ? claim : undefined
}

function isSigned({ status, text }: ProviderResponse): boolean {
  return status === 200 && COMPACT_JWS.test(text.trim())
}

function invalid(what: string): ProviderError {
  return new ProviderError('provider_answer_invalid', 'userinfo', { cause: new Error(what) })
}
