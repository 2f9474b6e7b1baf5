import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { type AgentRegistration, registrationId } from '../../oauth/client.ts'
import { OAuthError } from '../../oauth/errors.ts'
import { hashCredential, sameHash } from '../../secrets/handles.ts'
import { randomBytes } from '../../secrets/random.ts'
import type { Store } from '../../stores/store.ts'
import type { ClientMetadata } from './client-metadata.ts'

/** What is kept of an app that has registered itself. Any other value reads as absent. */
const Kept = Type.Object(
  {
    v: Type.Literal(1),
    name: Type.String(),
    redirectUris: Type.Array(Type.String()),
    issuedAt: Type.Number(),
    /** When its life was last extended; absent before its first login. */
    usedAt: Type.Optional(Type.Number()),
    tokenHash: Type.String(),
  },
  { additionalProperties: false },
)
type Kept = Readonly<Static<typeof Kept>>
const kept = Compile(Kept)

const KEY = 'client:'
/** Names all of them. */
const INDEX = 'clients'
const REMOVED = '{}'
const TOKEN = /^pkm_[A-Za-z0-9_-]{43}$/
/** A life is extended when this part of it is over, not at each refresh. */
const EXTENDED_AFTER = 0.1

/** An app that has registered itself. */
export interface Registration extends ClientMetadata {
  readonly clientId: string
  /** Milliseconds. */
  readonly issuedAt: number
}

/**
 * Apps that have registered themselves (RFC 7591), in the store: each lives until a while after its last use, and one that
 * nobody ever signed in with is gone soon. Its token, by which it can be read and deleted, is kept as a hash.
 *
 * There are never more than `max` of them, on whatever number of instances: each is put into the index before the index is
 * counted, so of several at the same time the last sees all the others. Near the limit, two at a time may both be refused.
 */
export class Registrations {
  readonly #store: Store
  readonly #limits: AgentRegistration

  constructor(store: Store, limits: AgentRegistration) {
    this.#store = store
    this.#limits = limits
  }

  /** @throws OAuthError 503 `registrations_full`. @throws StoreError */
  async register(metadata: ClientMetadata): Promise<Registration & { readonly token: string }> {
    const store = this.#store
    const clientId = registrationId(randomBytes(16).toString('base64url'))
    const token = `pkm_${randomBytes(32).toString('base64url')}`
    const ttlMs = this.#limits.unusedSeconds * 1000
    const issuedAt = store.now()
    await store.addToIndex([INDEX], clientId, ttlMs)
    if ((await store.readIndex(INDEX)).length > this.#limits.max) {
      await store.removeFromIndex([INDEX], clientId)
      throw new OAuthError('registrations_full')
    }
    const record: Kept = {
      v: 1,
      ...metadata,
      redirectUris: [...metadata.redirectUris],
      issuedAt,
      tokenHash: hashCredential(token),
    }
    if (!(await store.create(KEY + clientId, JSON.stringify(record), ttlMs))) throw new OAuthError('internal')
    return { ...metadata, clientId, issuedAt, token }
  }

  /** @returns null for an app that is not registered any more. @throws StoreError */
  async read(clientId: string): Promise<Registration | null> {
    const found = await this.#read(clientId)
    return found && registrationOf(clientId, found.record)
  }

  /** The app whose token this is. @throws OAuthError 401 `registration_token_invalid`. @throws StoreError */
  async authenticate(clientId: string, token: string): Promise<Registration> {
    // Both are always hashed, so that an unknown name takes as long as a wrong token.
    const found = TOKEN.test(token) ? await this.#read(clientId) : null
    const expected = found?.record.tokenHash ?? hashCredential('')
    if (!sameHash(hashCredential(token), expected) || !found)
      throw new OAuthError('registration_token_invalid')
    return registrationOf(clientId, found.record)
  }

  /** Extends the life of an app that somebody has a session of. @throws StoreError */
  async extend(clientId: string): Promise<void> {
    const found = await this.#read(clientId)
    if (!found) return
    const { record, version } = found
    const now = this.#store.now()
    const ttlMs = this.#limits.idleSeconds * 1000
    if (record.usedAt !== undefined && now - record.usedAt < ttlMs * EXTENDED_AFTER) return
    // The index first: what lives is counted.
    await this.#store.addToIndex([INDEX], clientId, ttlMs)
    // Whoever was first has extended it, or removed it.
    await this.#store.replace(KEY + clientId, version, JSON.stringify({ ...record, usedAt: now }), ttlMs)
  }

  /** @throws StoreError */
  async remove(clientId: string): Promise<void> {
    for (;;) {
      const found = await this.#store.read(KEY + clientId)
      // A record that is replaced by none is none: the contract knows no deletion.
      if (!found || (await this.#store.replace(KEY + clientId, found.version, REMOVED, 1))) break
    }
    await this.#store.removeFromIndex([INDEX], clientId)
  }

  async #read(clientId: string): Promise<{ record: Kept; version: number } | null> {
    const stored = await this.#store.read(KEY + clientId)
    const record = stored && decode(stored.value)
    return record && { record, version: stored.version }
  }
}

function registrationOf(clientId: string, { name, redirectUris, issuedAt }: Kept): Registration {
  return { clientId, name, redirectUris, issuedAt }
}

function decode(text: string): Kept | null {
  try {
    const value: unknown = JSON.parse(text)
    return kept.Check(value) ? value : null
  } catch {
    return null
  }
}
