import type { Sealing } from '../../../plugin/api/internal.ts'
import { type Store, StoreError } from '../../../plugin/index.ts'
import {
  decodeRecord,
  type KeyRecord,
  maintained,
  type OpenedKey,
  openKey,
  type PublicJwk,
  RECORD_KEY,
  RECORD_TTL_MS,
  signingKey,
  withNextKey,
  withOnlyNewKey,
} from './key-record.ts'

/** Each loser of a swap reads what the winner has written. */
const SWAPS_MAX = 20

/**
 * The keys that all instances sign with, as last read: one record of the store, in which every step is one
 * compare-and-swap. So instances that start at once agree on one key (requirements Q-11).
 */
export class KeyRing {
  readonly #store: Store
  readonly #sealing: Sealing
  #opened: readonly OpenedKey[] = []
  #revision = 0

  /** @param sealing with the server secrets. */
  constructor(store: Store, sealing: Sealing) {
    this.#store = store
    this.#sealing = sealing
  }

  /** What verifiers need: every key that signs, has signed, or is going to. */
  get publicKeys(): readonly PublicJwk[] {
    return this.#opened.map(({ publicJwk }) => publicJwk)
  }

  /** Another number as soon as a key is gone. */
  get revision(): number {
    return this.#revision
  }

  /** Without I/O. @throws Error before the first `maintain`. */
  signingKey(): OpenedKey {
    const key = signingKey(this.#opened, this.#store.now())
    if (key === undefined) throw new Error('no identity key has been read yet')
    return key
  }

  /** Reads the keys, and writes what is due. @throws StoreError, Error for a record of another version. */
  maintain(): Promise<void> {
    return this.#swap((record, opened) => maintained(record, opened, this.#sealing, this.#store.now()))
  }

  /** Reads what others have written. @throws as `maintain`. */
  async read(): Promise<void> {
    const stored = await this.#store.read(RECORD_KEY)
    if (stored !== null) this.#use(this.#openAll(decodeRecord(stored.value)))
  }

  /**
   * Begins the next key's time: it is published now, and signs 15 minutes later.
   *
   * @param atOnce it signs now, and all others are gone: tokens that they have signed are refused, by verifiers that
   *   fetch the key set. @throws as `maintain`.
   */
  rotate(atOnce: boolean): Promise<void> {
    return this.#swap((record, opened) => {
      const now = this.#store.now()
      if (atOnce) return withOnlyNewKey(this.#sealing, now)
      const isFirst = signingKey(opened, now) === undefined
      return isFirst
        ? maintained(record, opened, this.#sealing, now)
        : withNextKey(record, this.#sealing, now)
    })
  }

  async #swap(
    next: (record: KeyRecord | null, opened: readonly OpenedKey[]) => KeyRecord | null,
  ): Promise<void> {
    for (let swap = 0; swap < SWAPS_MAX; swap++) {
      const stored = await this.#store.read(RECORD_KEY)
      const record = stored && decodeRecord(stored.value)
      const opened = this.#openAll(record)
      const changed = next(record, opened)
      if (changed === null) {
        this.#use(opened)
        return
      }
      const value = JSON.stringify(changed)
      const isWritten =
        stored === null
          ? await this.#store.create(RECORD_KEY, value, RECORD_TTL_MS)
          : await this.#store.replace(RECORD_KEY, stored.version, value, RECORD_TTL_MS)
      if (isWritten) {
        this.#use(this.#openAll(changed))
        return
      }
    }
    throw new StoreError(this.#store.name, 'replace', 'the identity keys never stop changing')
  }

  /** A record that is gone, or of which nothing opens, is no reason to stop signing: `maintain` mends it. */
  #use(opened: readonly OpenedKey[]): void {
    if (signingKey(opened, this.#store.now()) === undefined) return
    const sealed = new Set(opened.map(({ entry }) => entry.sealed))
    if (this.#opened.some(({ entry }) => !sealed.has(entry.sealed))) this.#revision++
    this.#opened = opened
  }

  /** A key that is open already stays so: opening costs a signature's time. */
  #openAll(record: KeyRecord | null): readonly OpenedKey[] {
    const before = new Map(this.#opened.map((key) => [key.entry.sealed, key]))
    return (record?.keys ?? []).flatMap((entry) => {
      const known = before.get(entry.sealed)
      const isSame = known?.entry.kid === entry.kid && known.entry.signsFrom === entry.signsFrom
      const opened = isSame ? known : openKey(this.#sealing, entry)
      return opened ? [opened] : []
    })
  }
}
