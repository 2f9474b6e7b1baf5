import type { ActiveGrant } from '../grant/grant.ts'
import type { Grants } from '../grant/grants.ts'
import { relayedTokenIndex } from '../grant/indexes.ts'
import type { Seals } from '../grant/seals.ts'
import { BEARER_TOKEN_MAX } from '../oauth/bearer.ts'
import { OAuthError, type Reason } from '../oauth/errors.ts'
import { stillAllowed } from '../oauth/scope.ts'
import type { ResolvedOptions } from '../options/resolved.ts'
import { hashCredential, parseHandle, sameHash } from '../secrets/handles.ts'
import { SessionCache } from './cache.ts'
import { SessionEndings } from './endings.ts'
import { Session } from './session.ts'

/**
 * Access token → session: hash, cache or store, status, expiry, client. The only place that makes a `Session`.
 *
 * A warm token costs one hash and one look-up, without I/O and without a promise.
 */
export class SessionResolver {
  readonly cache: SessionCache
  readonly endings: SessionEndings
  readonly #options: ResolvedOptions
  readonly #grants: Grants
  readonly #seals: Seals

  constructor(options: ResolvedOptions, grants: Grants, seals: Seals) {
    this.#options = options
    this.#grants = grants
    this.#seals = seals
    this.cache = new SessionCache(grants.now)
    this.endings = new SessionEndings(grants)
  }

  /** @throws OAuthError 401 `token_unknown`, `token_expired`. @throws StoreError when the store cannot answer. */
  resolve(token: string): Session | Promise<Session> {
    const relayed = this.#options.tokens === 'relay'
    // Length first: no hash is spent on what cannot be a token (K-03).
    if (relayed ? token.length > BEARER_TOKEN_MAX : token.length !== 68) throw invalidToken('token_unknown')
    const hash = hashCredential(token)
    return (
      this.cache.get(hash) ?? (relayed ? this.#resolveRelayed(token, hash) : this.#resolveHandle(token, hash))
    )
  }

  async #resolveHandle(token: string, hash: string): Promise<Session> {
    const handle = parseHandle('access', token)
    if (!handle) throw invalidToken('token_unknown')
    const session = await this.#load(handle.selector, hash, handle.secret)
    if (!session) throw invalidToken('token_unknown')
    return session
  }

  async #resolveRelayed(token: string, hash: string): Promise<Session> {
    for (const grantId of await this.#grants.readIndex(relayedTokenIndex(hash))) {
      const session = await this.#load(grantId, hash, Buffer.from(token), token)
      if (session) return session
    }
    throw invalidToken('token_unknown')
  }

  /** Reads the grant and makes the session, unless the token is not one of its own. */
  async #load(grantId: string, hash: string, secret: Buffer, relayed?: string): Promise<Session | null> {
    const load = this.cache.beginLoad(grantId)
    try {
      const stored = await this.#grants.read(grantId)
      if (stored?.grant.status !== 'active') return null
      const session = this.#open(stored.grant, hash, secret, relayed)
      if (session) load.finish(hash, session)
      return session
    } finally {
      load.end()
    }
  }

  #open(grant: ActiveGrant, hash: string, secret: Buffer, relayed: string | undefined): Session | null {
    const token = grant.accessTokens.find((candidate) => sameHash(candidate.hash, hash))
    if (!token) return null
    if (token.expiresAt <= this.#grants.now()) throw invalidToken('token_expired')
    const client = this.#options.clients.get(grant.clientId)
    if (!client?.enabled) throw invalidToken('token_client_disabled')
    const dataKey = this.#seals.unwrapDataKey(grant, 'access', secret, token.key)
    const provider = dataKey && this.#seals.openProviderSecrets(grant, dataKey)
    if (!provider) throw invalidToken('token_sealed')
    return new Session({
      grantId: grant.id,
      clientId: grant.clientId,
      subject: grant.subject,
      scope: Object.freeze(stillAllowed(token.scope, client.scopes)),
      claims: Object.freeze({ ...grant.claims, sub: grant.subject }),
      expiresAt: token.expiresAt,
      tokenHash: hash,
      providerAuthorization: `${authorizationScheme(provider.tokenType)} ${relayed ?? provider.accessToken}`,
    })
  }
}

/** `bearer` and `BEARER` are the same type (RFC 6749 §5.1); upstreams expect the registered spelling. */
function authorizationScheme(tokenType: string): string {
  return tokenType.toLowerCase() === 'bearer' ? 'Bearer' : tokenType
}

function invalidToken(reason: Reason): OAuthError {
  return new OAuthError(reason)
}
