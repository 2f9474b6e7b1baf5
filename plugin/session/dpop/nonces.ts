import { deriveKey, expandKey } from '../../secrets/hkdf.ts'

const WINDOW_MS = 15_000
/** A nonce is accepted for two windows, which begin earlier by this much: clocks of instances differ. */
const EARLY_MS = 1000
/** A clock that has gone back further was wrong before. */
const BACK_MS = 60_000
const SALT = Buffer.from('fastify-pkce')
const INFO = Buffer.from('dpop nonce')
const NONCE_BYTES = 16

/**
 * The nonces that proofs must have: each the HMAC of a window of time, so that every instance knows those of all
 * others, and none is kept anywhere. Each is accepted for 30 s, and given out during the middle 15 of them.
 *
 * They are no secrets: whoever asks gets one. They say when a proof was made, and nobody can tell them in advance.
 * Source: RFC 9449 §8, §9, §11.2; requirements O-03.
 */
export class Nonces {
  readonly #keys: readonly Buffer[]
  readonly #now: () => number
  #latest = Number.NEGATIVE_INFINITY
  #window = Number.NaN
  /** Of the windows around the current one, by each of the secrets: an instance may have another one in front. */
  #accepted = new Map<string, number>()
  #current = ''

  /** @param secrets of the deployment, the current one first. @param now milliseconds of the store's clock. */
  constructor(secrets: readonly Buffer[], now: () => number) {
    this.#keys = secrets.map((secret) => deriveKey(secret, SALT, INFO))
    this.#now = now
  }

  /** The one to give out. */
  get current(): string {
    this.#look()
    return this.#current
  }

  /** The window of a nonce that is accepted now, else undefined. */
  windowOf(nonce: string): number | undefined {
    const now = this.#look()
    const window = this.#accepted.get(nonce)
    if (window === undefined) return undefined
    const from = window * WINDOW_MS - EARLY_MS
    return now >= from && now < from + 2 * WINDOW_MS ? window : undefined
  }

  /** The first window whose nonce may still be accepted. */
  get oldest(): number {
    return Math.floor((this.#look() + EARLY_MS) / WINDOW_MS) - 1
  }

  /**
   * The time, which does not go back here: what has been forgotten with a window must not be accepted again.
   */
  #look(): number {
    const now = this.#now()
    this.#latest = now < this.#latest && now > this.#latest - BACK_MS ? this.#latest : now
    const window = Math.floor(this.#latest / WINDOW_MS)
    if (window !== this.#window) this.#turn(window)
    return this.#latest
  }

  #turn(window: number): void {
    this.#window = window
    this.#current = nonceOf(this.#keys[0]!, window)
    this.#accepted = new Map(
      this.#keys.flatMap((key) => [-1, 0, 1].map((by) => [nonceOf(key, window + by), window + by] as const)),
    )
  }
}

function nonceOf(key: Buffer, window: number): string {
  return expandKey(key, Buffer.from(String(window))).toString('base64url', 0, NONCE_BYTES)
}
