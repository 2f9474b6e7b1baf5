import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { jwtVerify } from 'jose'
import type { Facts } from './facts.ts'

export const TEAM_ID = 'ABCDE12345'
export const KEY_ID = 'KEY1234567'
const ISSUER = 'https://appleid.apple.com'
const SIX_MONTHS_SECONDS = 15_777_000

/** A new `.p8` file. */
export function newP8(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return String(privateKey.export({ type: 'pkcs8', format: 'pem' }))
}

/** The `.p8` file that is registered. */
export const p8 = newP8()
const publicKey = createPublicKey(p8)

/** Source: Apple, "Sign in with Apple REST API": "Creating a client secret", "Request an authorization". */
export const apple: Facts = {
  endpoints: {
    authorization: `${ISSUER}/auth/authorize`,
    token: `${ISSUER}/auth/token`,
    revocation: `${ISSUER}/auth/revoke`,
    jwks: `${ISSUER}/auth/keys`,
    metadata: `${ISSUER}/.well-known/openid-configuration`,
  },
  issuer: ISSUER,
  metadata: {
    scopes_supported: ['openid', 'email', 'name'],
    response_modes_supported: ['query', 'fragment', 'form_post'],
    token_endpoint_auth_methods_supported: ['client_secret_post'],
    id_token_signing_alg_values_supported: ['RS256'],
  },
  scopes: ['openid', 'name', 'email'],
  unknownScope: 'invalid_scope',
  clientAuthentication: ['post'],
  isSecret: async (secret, clientId) => {
    try {
      const { protectedHeader, payload } = await jwtVerify(secret, publicKey, {
        algorithms: ['ES256'],
        issuer: TEAM_ID,
        subject: clientId,
        audience: ISSUER,
        requiredClaims: ['iat', 'exp'],
      })
      return protectedHeader.kid === KEY_ID && payload.exp! - payload.iat! <= SIX_MONTHS_SECONDS
    } catch {
      return false
    }
  },
  refresh: 'kept',
  token: { expires_in: 3600 },
  scopeText: () => undefined,
  alwaysIdToken: true,
  idToken: ({ person, scopes }) => ({
    nonce_supported: true,
    ...(scopes.includes('email') && { email: `${person}@privaterelay.example`, email_verified: 'true' }),
  }),
  refuses: (query) => {
    const isNamed = /\b(?:name|email)\b/.test(query.get('scope') ?? '')
    return isNamed && query.get('response_mode') !== 'form_post'
      ? 'response_mode must be form_post when name or email scope is requested'
      : undefined
  },
  cancel: { error: 'user_cancelled_authorize' },
  // The name is told once, and by the browser.
  callback: ({ person, isFirst, scopes }) => {
    const name = { firstName: person, lastName: 'Example' }
    const user = { name, email: `${person}@privaterelay.example` }
    return isFirst && scopes.includes('name')
      ? { user: JSON.stringify(user) }
      : ({} as Record<string, string>)
  },
  refusals: {
    client: { status: 400, body: { error: 'invalid_client' } },
    code: {
      status: 400,
      body: { error: 'invalid_grant', error_description: 'The code has expired or has been revoked.' },
    },
  },
}
