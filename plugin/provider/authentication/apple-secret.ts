import { SignJWT } from 'jose/jwt/sign'
import type { ResolvedProvider } from '../../options/resolved.ts'
import { importSigningKey } from './signing.ts'

const LIFE_SECONDS = 3600
/** What is left of a secret's life when the next one is made: no request is on its way for so long. */
const RENEWAL_SECONDS = 600

/**
 * Apple's client secret: a JWT for Apple's issuer, signed with the `.p8` key of a team and sent as `client_secret`. It
 * lives an hour, and is made anew ten minutes before its end, or when the key is another one (M-02).
 *
 * Source: "Creating a client secret", Sign in with Apple REST API.
 *
 * @param now the clock, in milliseconds.
 * @returns a function of the key, a PKCS#8 PEM. It rejects for another one, and does not quote it.
 */
export function createAppleSecret(
  { issuer, clientId, teamId, keyId }: ResolvedProvider,
  now: () => number,
): (privateKey: string) => Promise<string> {
  let last: { privateKey: string; renewAt: number; secret: Promise<string> } | undefined
  return (privateKey) => {
    const nowSeconds = Math.floor(now() / 1000)
    if (last?.privateKey !== privateKey || nowSeconds >= last.renewAt) {
      const renewAt = nowSeconds + LIFE_SECONDS - RENEWAL_SECONDS
      last = { privateKey, renewAt, secret: sign(privateKey, nowSeconds) }
    }
    return last.secret
  }

  async function sign(privateKey: string, nowSeconds: number): Promise<string> {
    const { key, alg } = await importSigningKey(privateKey)
    if (alg !== 'ES256') throw new Error('not a key for ES256')
    return new SignJWT()
      .setProtectedHeader({ alg, kid: keyId! })
      .setIssuer(teamId!)
      .setSubject(clientId)
      .setAudience(issuer)
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + LIFE_SECONDS)
      .sign(key)
  }
}
