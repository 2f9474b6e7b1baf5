import { randomBytes } from 'node:crypto'
import { SignJWT } from 'jose/jwt/sign'
import type { ConfigProblem } from '../../options/config-error.ts'
import { signingKeyWords } from '../../options/provider/signing-key.ts'
import type { ResolvedProvider } from '../../options/resolved.ts'
import { createAppleSecret } from './apple-secret.ts'
import { askSecret } from './secret-source.ts'
import { type ImportedKey, importSigningKey } from './signing.ts'

const ASSERTION_SECONDS = 60

/** What says in a request who we are, and proves it. */
export interface ClientCredentials {
  readonly headers?: Readonly<Record<string, string>>
  /** Of the form. */
  readonly parameters?: Readonly<Record<string, string>>
  /** The secret or key that they were made of, to tell whether there is another one by now. Not sent. */
  readonly madeOf?: string
}

/** How we prove who we are to the provider. */
export interface ClientAuthentication {
  /**
   * Asks for the secret or key at each call, so that a rotated one is used at once. Rejects when there is none or a
   * private key cannot be used; the message holds nothing of it.
   */
  credentials(): Promise<ClientCredentials>
  /** Tries a secret or key that is given as text; a function is asked when it is needed. */
  problems(): Promise<ConfigProblem[]>
}

/**
 * How we prove who we are to the provider: exactly one configured method, without fallback (F-05). Basic
 * form-encodes id and secret (RFC 6749 §2.3.1); `private_key_jwt` makes a new assertion for each request, for the
 * issuer alone, with a life of 60 s (RFC 7523 §3).
 *
 * @param now the clock, in milliseconds.
 */
export function createClientAuthentication(
  provider: ResolvedProvider,
  now: () => number,
): ClientAuthentication {
  const credentials = createCredentials(provider, now)
  return {
    credentials,
    async problems() {
      const key = provider.clientAuthentication.startsWith('client_secret') ? 'clientSecret' : 'privateKey'
      if (typeof provider[key] === 'function') return []
      const wrong = key === 'clientSecret' ? 'is missing' : signingKeyWords(provider.clientAuthentication)
      return credentials().then(
        () => [],
        () => [{ path: ['provider', key], problem: wrong }],
      )
    },
  }
}

function createCredentials(
  provider: ResolvedProvider,
  now: () => number,
): ClientAuthentication['credentials'] {
  const { clientId, issuer } = provider
  switch (provider.clientAuthentication) {
    case 'none':
    // The certificate of the connection says the rest (RFC 8705 §2).
    case 'tls_client_auth':
      return async () => ({ parameters: { client_id: clientId } })
    case 'client_secret_basic': {
      const basic = rememberLast((secret) => ({
        headers: { authorization: basicOf(clientId, secret) },
        madeOf: secret,
      }))
      return async () => basic(await askSecret(provider.clientSecret))
    }
    case 'client_secret_post':
      return async () => {
        const secret = await askSecret(provider.clientSecret)
        return { parameters: { client_id: clientId, client_secret: secret }, madeOf: secret }
      }
    case 'apple': {
      const secret = createAppleSecret(provider, now)
      return async () => {
        const key = await askSecret(provider.privateKey)
        return { parameters: { client_id: clientId, client_secret: await secret(key) }, madeOf: key }
      }
    }
    case 'private_key_jwt': {
      const importKey = rememberLast(importSigningKey)
      return async () => {
        const key = await askSecret(provider.privateKey)
        const parameters = {
          client_id: clientId,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: await assertionOf(clientId, issuer, await importKey(key)),
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
function assertionOf(clientId: string, issuer: string, { key, alg, kid }: ImportedKey): Promise<string> {
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

/** Secrets and keys seldom change. */
function rememberLast<T>(make: (input: string) => T): (input: string) => T {
  let last: { input: string; made: T } | undefined
  return (input) => {
    if (last?.input !== input) last = { input, made: make(input) }
    return last.made
  }
}
