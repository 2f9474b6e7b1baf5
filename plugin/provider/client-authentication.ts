import { createPrivateKey } from 'node:crypto'
import { type CryptoKey, importJWK, importPKCS8, type JWK } from 'jose'
import * as oauth from 'oauth4webapi'
import type { ResolvedProvider } from '../options/resolved.ts'
import type { SecretSource } from '../options/schema.ts'

/** Signature algorithms of `private_key_jwt`. */
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']

interface SigningKey {
  key: CryptoKey
  alg: string
  kid: string | undefined
}

/**
 * How we prove who we are to the provider: exactly one configured method, without fallback (F-05). Basic
 * form-encodes id and secret (RFC 6749 §2.3.1); `private_key_jwt` makes a new assertion for each request, for the
 * issuer alone, with a life of 60 s (RFC 7523 §3).
 *
 * @returns a function that asks for the secret or key at each call, so that a rotated one is used at once. It
 * rejects when there is none or a private key cannot be used; the message holds nothing of it.
 */
export function createClientAuthentication(provider: ResolvedProvider): () => Promise<oauth.ClientAuth> {
  const importKey = rememberLast(importSigningKey)
  switch (provider.clientAuthentication) {
    case 'none':
      return async () => oauth.None()
    case 'client_secret_basic':
      return async () => oauth.ClientSecretBasic(await ask(provider.clientSecret))
    case 'client_secret_post':
      return async () => oauth.ClientSecretPost(await ask(provider.clientSecret))
    case 'private_key_jwt':
      return async () => {
        const { key, alg, kid } = await importKey(await ask(provider.privateKey))
        return oauth.PrivateKeyJwt(kid === undefined ? { key } : { key, kid }, {
          // EdDSA is the name that providers know for Ed25519 (RFC 8037 §3.1).
          [oauth.modifyAssertion]: (header) => {
            header.alg = alg
          },
        })
      }
  }
}

async function ask(source: SecretSource | undefined): Promise<string> {
  const secret = typeof source === 'function' ? await source() : source
  if (typeof secret !== 'string' || secret === '') throw new Error('there is no secret')
  return secret
}

async function importSigningKey(text: string): Promise<SigningKey> {
  const jwk = parseJwk(text)
  if (jwk) {
    const alg = allowed(jwk.alg ?? algorithmOf(jwk.kty, jwk.crv))
    const key = await importJWK({ ...jwk, ext: false }, alg)
    if (key instanceof Uint8Array || key.type !== 'private') throw new Error('the JWK is not a private key')
    return { key, alg, kid: jwk.kid }
  }
  const { asymmetricKeyType, asymmetricKeyDetails } = createPrivateKey(text)
  const alg = allowed(algorithmOf(asymmetricKeyType, asymmetricKeyDetails?.namedCurve))
  return { key: await importPKCS8(text, alg), alg, kid: undefined }
}

/** The JWK, or undefined if `text` is none: a PEM, or something that createPrivateKey will refuse. */
function parseJwk(text: string): JWK | undefined {
  try {
    return JSON.parse(text) as JWK
  } catch {
    // The error of JSON.parse quotes the key.
    return undefined
  }
}

/** The usual algorithm of a kind of key, in the words of a JWK or of Node. */
function algorithmOf(kind: string | undefined, curve: string | undefined): string | undefined {
  const byKind: Record<string, string> = { RSA: 'RS256', rsa: 'RS256', 'rsa-pss': 'PS256', ed25519: 'EdDSA' }
  const byCurve: Record<string, string> = {
    'P-256': 'ES256',
    prime256v1: 'ES256',
    'P-384': 'ES384',
    secp384r1: 'ES384',
    Ed25519: 'EdDSA',
  }
  return byCurve[curve ?? ''] ?? byKind[kind ?? '']
}

function allowed(alg: string | undefined): string {
  if (alg === undefined || !ALGORITHMS.includes(alg))
    throw new Error(`the key is not for ${ALGORITHMS.join(', ')}`)
  return alg
}

/** Importing a key costs more than signing with it, and it seldom changes. */
function rememberLast<T>(make: (input: string) => Promise<T>): (input: string) => Promise<T> {
  let last: { input: string; made: Promise<T> } | undefined
  return (input) => {
    if (last?.input !== input) last = { input, made: make(input) }
    return last.made
  }
}
