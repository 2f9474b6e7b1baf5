import type { AccessTokenRecord, ActiveGrant } from '../grant/grant.ts'
import { type Grants, isActive, type StoredGrant } from '../grant/grants.ts'
import { relayedTokenIndex } from '../grant/indexes.ts'
import { accessTokenOf, areOfOneSubject } from '../grant/relayed-tokens.ts'
import type { Seals } from '../grant/seals.ts'
import { present } from '../grant/transitions.ts'
import { commonResources } from '../oauth/access/resource.ts'
import { stillAllowed } from '../oauth/access/scope.ts'
import { BEARER_TOKEN_MAX } from '../oauth/bearer.ts'
import { knownClient } from '../oauth/client.ts'
import { OAuthError, type Reason } from '../oauth/errors.ts'
import type { ResolvedOptions } from '../options/resolved.ts'
import type { Observer } from '../options/types/observer.ts'
import { hashCredential, parseHandle, sameHash } from '../secrets/handles.ts'
import { SessionCache, UNPROVED_AGE_MAX_MS } from './cache.ts'
import { SessionEndings } from './endings.ts'
import { Session, type SessionFields } from './session.ts'

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
  readonly #observer: Observer

  constructor(options: ResolvedOptions, grants: Grants, seals: Seals, observer: Observer) {
    this.#options = options
    this.#grants = grants
    this.#seals = seals
    this.#observer = observer
    this.cache = new SessionCache(
      { now: grants.now, provedUntil: grants.provedUntil ?? (() => Number.POSITIVE_INFINITY) },
      { ageMs: cacheAgeMs(options, grants) },
      observer.sessionCache,
    )
    this.endings = new SessionEndings(grants)
  }

  /** @throws OAuthError 401, with a reason `token_…`. @throws StoreError when the store cannot answer. */
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
    return this.#load([handle.selector], { hash, secret: handle.secret })
  }

  async #resolveRelayed(token: string, hash: string): Promise<Session> {
    const grantIds = await this.#grants.readIndex(relayedTokenIndex(hash))
    return this.#load(grantIds, { hash, secret: Buffer.from(token), relayed: token })
  }

  /** Reads the grants that may have the token, and makes its session. A change of any of them makes it void. */
  async #load(grantIds: readonly string[], presented: PresentedToken): Promise<Session> {
    const load = this.cache.beginLoad(...grantIds)
    try {
      const found = (await Promise.all(grantIds.map((grantId) => this.#grants.read(grantId)))).filter(
        isActive,
      )
      for (const stored of found) this.#notePresented(stored, presented)
      const session = this.#open(
        found.map(({ grant }) => grant),
        presented,
      )
      load.finish(presented.hash, session)
      const { grant } = found.find(({ grant }) => grant.id === session.grantId)!
      this.#observer.sessionRead(session, this.#grants.now() - grant.activatedAt, grant.trace)
      return session
    } finally {
      load.end()
    }
  }

  /**
   * Notes, while the request goes on, that somebody has the answer that brought this token: it need not be given again
   * (C-25, D-05). If it cannot be written now, the next look at the store tries again.
   */
  #notePresented(stored: StoredGrant<ActiveGrant>, { hash }: PresentedToken): void {
    const { unpresented } = stored.grant
    if (unpresented === undefined || !sameHash(unpresented, hash)) return
    void this.#grants.replace(stored, present(stored.grant)).catch(() => {})
  }

  /**
   * The session of a token out of the grants that share it: one, but for relayed tokens that the provider gave out
   * twice. The grant that was activated first gives it all but the scopes and the resources, which are those of all, and
   * how the person has signed in, which is as weak and as old as in any. A grant that has expired, does not open, or whose client is disabled counts as absent. Grants of different subjects
   * are no session: nobody knows whose token it is.
   */
  #open(grants: readonly ActiveGrant[], presented: PresentedToken): Session {
    const held = grants.flatMap((grant) => {
      const token = accessTokenOf(grant, presented.hash)
      return token ? [{ grant, token }] : []
    })
    const now = this.#grants.now()
    const live = held.filter(({ token }) => token.expiresAt > now)
    if (live.length === 0) throw invalidToken(held.length > 0 ? 'token_expired' : 'token_unknown')
    if (!areOfOneSubject(live.map(({ grant }) => grant))) throw invalidToken('token_subject_mismatch')

    const opened = live
      .sort((a, b) => a.grant.activatedAt - b.grant.activatedAt || (a.grant.id < b.grant.id ? -1 : 1))
      .map(({ grant, token }) => this.#openGrant(grant, token, presented))
    const [first, ...others] = opened.filter((one) => typeof one !== 'string')
    if (!first) throw invalidToken(opened.find((one) => typeof one === 'string')!)
    const scope = first.scope.filter((name) => others.every((other) => other.scope.includes(name)))
    const resources = commonResources([first, ...others].map((one) => one.resources))
    return new Session({
      ...first,
      ...weakestAuthentication(first, others),
      scope: Object.freeze(scope),
      resources: resources && Object.freeze(resources),
    })
  }

  /** What the session would be if the grant were the only one, or why it gives none. */
  #openGrant(
    grant: ActiveGrant,
    token: AccessTokenRecord,
    { hash, secret, relayed }: PresentedToken,
  ): SessionFields | Reason {
    const client = knownClient(this.#options, grant.clientId)
    if (!client?.enabled) return 'token_client_disabled'
    const dataKey = this.#seals.unwrapDataKey(grant, 'access', secret, token.key)
    const provider = dataKey && this.#seals.openProviderSecrets(grant, dataKey)
    if (!provider) return 'token_sealed'
    return {
      grantId: grant.id,
      clientId: grant.clientId,
      issuer: grant.provider,
      subject: grant.subject,
      scope: stillAllowed(token.scope, client.scopes),
      resources: token.resources,
      claims: Object.freeze({ ...grant.claims, ...grant.ownClaims, sub: grant.subject }),
      expiresAt: token.expiresAt,
      ...{ acr: grant.acr, authTime: grant.authTime, jkt: token.jkt },
      tokenHash: hash,
      providerAuthorization: `${authorizationScheme(provider.tokenType)} ${relayed ?? provider.accessToken}`,
    }
  }
}

/** A relayed token that gets another grant elsewhere is no change of those that it had (G-17). */
function cacheAgeMs({ session, tokens }: ResolvedOptions, { provedUntil }: Grants): number {
  const ageMs = session.cacheSeconds * 1000
  return provedUntil === undefined || tokens === 'relay' ? Math.min(ageMs, UNPROVED_AGE_MAX_MS) : ageMs
}

/** An access token as presented, and what opens its grants. */
interface PresentedToken {
  readonly hash: string
  readonly secret: Buffer
  /** The provider's token itself. */
  readonly relayed?: string
}

/** What can be said of all logins that share a token. */
function weakestAuthentication(
  { acr, authTime }: SessionFields,
  others: readonly SessionFields[],
): Pick<SessionFields, 'acr' | 'authTime'> {
  const times = [authTime, ...others.map((other) => other.authTime)].filter((time) => time !== undefined)
  return {
    acr: others.every((other) => other.acr === acr) ? acr : undefined,
    authTime: times.length > others.length ? Math.min(...times) : undefined,
  }
}

/** `bearer` and `BEARER` are the same type (RFC 6749 §5.1); upstreams expect the registered spelling. */
function authorizationScheme(tokenType: string): string {
  return tokenType.toLowerCase() === 'bearer' ? 'Bearer' : tokenType
}

function invalidToken(reason: Reason): OAuthError {
  return new OAuthError(reason)
}
