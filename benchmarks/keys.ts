import { randomBytes } from 'node:crypto'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'

/** Keys and tokens for the peers that verify JWTs. Made for each run. */
export interface Keys {
  /** HS256: 32 bytes as 64 hexadecimal characters. */
  readonly secret: string
  /** RS256, 2048 bits: SPKI. */
  readonly publicPem: string
  readonly jwks: { keys: object[] }
  readonly issuer: string
  readonly audience: string
  readonly hs256: string
  readonly rs256: string
}

/** @param issuer the provider's origin. */
export async function makeKeys(issuer: string): Promise<Keys> {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const secret = randomBytes(32).toString('hex')
  const audience = 'https://api.example.com'
  const token = (alg: string) =>
    new SignJWT({ scope: 'orders.read', client_id: 'benchmark' })
      .setProtectedHeader({ alg, kid: 'benchmark', typ: 'at+jwt' })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject('alice')
      .setIssuedAt()
      .setExpirationTime('1d')
  return {
    secret,
    publicPem: await exportSPKI(publicKey),
    jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'benchmark', alg: 'RS256', use: 'sig' }] },
    issuer,
    audience,
    hs256: await token('HS256').sign(Buffer.from(secret)),
    rs256: await token('RS256').sign(privateKey),
  }
}
