import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type JWTPayload, SignJWT, UnsecuredJWT } from 'jose'
import { selfSigned } from '../../test/support/certificate.ts'

export type Algorithm = 'HS256' | 'RS256'

type Key = KeyObject | Buffer

/** The JWTs of one algorithm. */
export interface Tokens {
  readonly good: string
  /** What a resource server must refuse (RFC 9068 §4), by what is wrong with it. */
  readonly refused: Readonly<Record<string, string>>
}

/** Keys and tokens for the peers that verify JWTs. Made for each run. */
export interface Keys extends Readonly<Record<Algorithm, Tokens>> {
  /** HS256: 32 bytes as 64 hexadecimal characters. */
  readonly secret: string
  /** RS256, 2048 bits: SPKI. */
  readonly publicPem: string
  readonly jwks: { keys: object[] }
  /** Of every server that speaks TLS, ECDSA on P-256: PEM. */
  readonly certificate: { readonly cert: string; readonly key: string }
  readonly issuer: string
  readonly audience: string
}

const DAY = 86_400

/** @param issuer the provider's origin. */
export async function makeKeys(issuer: string): Promise<Keys> {
  const { privateKey, publicKey } = rsaKeys()
  const secret = randomBytes(32).toString('hex')
  const publicPem = publicKey.export({ type: 'spki', format: 'pem' }) as string
  const audience = 'https://api.example.com'
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: issuer,
    aud: audience,
    sub: 'alice',
    scope: 'orders.read',
    client_id: 'benchmark',
    iat: now,
    exp: now + DAY,
  }
  const sign = (alg: Algorithm, key: Key, change: JWTPayload = {}) =>
    new SignJWT({ ...claims, ...change })
      .setProtectedHeader({ alg, kid: 'benchmark', typ: 'at+jwt' })
      .sign(key)
  const tokens = async (alg: Algorithm, key: Key, otherKey: Key) => ({
    good: await sign(alg, key),
    refused: {
      expired: await sign(alg, key, { iat: now - 2 * DAY, exp: now - DAY }),
      'of another issuer': await sign(alg, key, { iss: 'https://other.example.com' }),
      'for another audience': await sign(alg, key, { aud: 'https://other.example.com' }),
      'signed with another key': await sign(alg, otherKey),
      'signed with the public key as its secret': await sign('HS256', Buffer.from(publicPem)),
      'not signed': new UnsecuredJWT(claims).encode(),
    },
  })
  return {
    secret,
    publicPem,
    jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'benchmark', alg: 'RS256', use: 'sig' }] },
    certificate: selfSigned('localhost', new Date(Date.now() + DAY * 1000)),
    issuer,
    audience,
    HS256: await tokens('HS256', Buffer.from(secret), randomBytes(32)),
    RS256: await tokens('RS256', privateKey, rsaKeys().privateKey),
  }
}

/** Writes the certificate of the run for a server that reads files. */
export function certificateFiles({ folder, keys: { certificate } }: { folder: string; keys: Keys }) {
  const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }
  writeFileSync(files.certFile, certificate.cert)
  writeFileSync(files.keyFile, certificate.key, { mode: 0o600 })
  return files
}

function rsaKeys() {
  return generateKeyPairSync('rsa', { modulusLength: 2048 })
}
