import { randomBytes } from 'node:crypto'
import { type CryptoKey, importJWK, importPKCS8, type JWK, SignJWT } from 'jose'
import { readSigningKey } from '../../options/provider/signing-key.ts'
import type { ResolvedProvider } from '../../options/resolved.ts'
import type { SecretSource } from '../../options/schema.ts'

const ASSERTION_SECONDS = 60

/** What says in a request who we are, and proves it. */
export interface ClientCredentials {
  readonly headers?: Readonly<Record<string, string>>
  /** Of the form. */
  readonly parameters?: Readonly<Record<string, string>>
  /** The secret or key that they were made of, to tell whether there is another one by now. Not sent. */
  readonly madeOf?: string
}

interface ImportedKey {
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
export function createClientAuthentication(provider: ResolvedProvider): () => Promise<ClientCredentials> {
  const { clientId, issuer } = provider
  switch (provider.clientAuthentication) {
    case 'none':
      return async () => ({ parameters: { client_id: clientId } })
    case 'client_secret_basic': {
      const basic = rememberLast((secret) => ({
        headers: { authorization: basicOf(clientId, secret) },
        madeOf: secret,
      }))
      return async () => basic(await ask(provider.clientSecret))
    }
    case 'client_secret_post':
      return async () => {
        const secret = await ask(provider.clientSecret)
        return { parameters: { client_id: clientId, client_secret: secret }, madeOf: secret }
      }
    case 'private_key_jwt': {
      // Importing a key costs more than signing with it.
      const importKey = rememberLast(importSigningKey)
      return async () => {
        const key = await ask(provider.privateKey)
        const parameters = {
          client_id: clientId,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: await sign(clientId, issuer, await importKey(key)),
        }
        return { parameters, madeOf: key }
      }
    }
  }
}

/** RFC 7617 §2, with both halves form-encoded (RFC 6749 §2.3.1). */
function basicOf(clientId: string, secret: string): string {
  const pair = `${encodeURIComponent(clientId)}:${encodeURIComponent(secret)}`
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

/** RFC 7523 §3. */
function sign(clientId: string, issuer: string, { key, alg, kid }: ImportedKey): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  return new SignJWT()
    .setProtectedHeader({ alg, ...(kid !== undefined && { kid }) })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(issuer)
    .setJti(randomBytes(32).toString('base64url'))
    .setIssuedAt(now)
    .setNotBefore(now)
    .setExpirationTime(now + ASSERTION_SECONDS)
    .sign(key)
}

async function ask(source: SecretSource | undefined): Promise<string> {
  const secret = typeof source === 'function' ? await source() : source
  if (typeof secret !== 'string' || secret === '') throw new Error('there is no secret')
  return secret
}

async function importSigningKey(text: string): Promise<ImportedKey> {
  const { alg, kid, jwk } = readSigningKey(text)
  if (!jwk) return { key: await importPKCS8(text, alg), alg, kid }
  const key = await importJWK({ ...(jwk as JWK), ext: false }, alg)
  if (key instanceof Uint8Array || key.type !== 'private') throw new Error('the JWK is not a private key')
  return { key, alg, kid }
}

/** Secrets and keys seldom change. */
function rememberLast<T>(make: (input: string) => T): (input: string) => T {
  let last: { input: string; made: T } | undefined
  return (input) => {
    if (last?.input !== input) last = { input, made: make(input) }
    return last.made
  }
}
