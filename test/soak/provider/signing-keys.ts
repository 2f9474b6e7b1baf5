import type { ServerResponse } from 'node:http'
import { exportJWK, type GenerateKeyPairResult, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { json } from '../../support/stub-provider.ts'
import type { Ledger } from '../ledger.ts'

/** A new signing key, and what becomes of the key set: it has it at once, or cannot be had for a moment. */
export type KeyTrick = 'replaced' | 'down' | 'silent' | 'cut off' | 'stale'

/** How long the key set is out of reach, or old. */
const TRICK_MS = 2000
/** Between two of them, all is well for a while: logins need the keys (F-13). */
const REST_MS = 6000

interface SigningKey {
  readonly kid: string
  readonly privateKey: GenerateKeyPairResult['privateKey']
  readonly jwk: object
}

/** The keys of the soak's provider, and the key set that it publishes. */
export class SigningKeys {
  readonly #ledger: Ledger
  #key: SigningKey
  #published: object[]
  #trick: KeyTrick | undefined
  #restsUntil = 0
  #made = 1

  private constructor(ledger: Ledger, key: SigningKey) {
    this.#ledger = ledger
    this.#key = key
    this.#published = [key.jwk]
  }

  static async create(ledger: Ledger): Promise<SigningKeys> {
    return new SigningKeys(ledger, await createKey('key-1'))
  }

  /** Two of them at once would only hide each other. */
  get isAtRest(): boolean {
    return this.#trick === undefined && performance.now() >= this.#restsUntil
  }

  /** A new key signs from now on. */
  async play(trick: KeyTrick): Promise<void> {
    this.#trick = trick
    const over = this.#ledger.fault('key set', trick)
    this.#key = await createKey(`key-${++this.#made}`)
    if (trick !== 'stale') this.#published = [this.#key.jwk]
    setTimeout(
      () => {
        this.#published = [this.#key.jwk]
        this.#trick = undefined
        this.#restsUntil = performance.now() + REST_MS
        over()
      },
      trick === 'replaced' ? 0 : TRICK_MS,
    )
  }

  /** Answers a request for the key set. */
  serve(response: ServerResponse): void {
    if (this.#trick === 'silent') return
    if (this.#trick === 'cut off') response.destroy()
    else if (this.#trick === 'down') json(response, 503, {})
    else json(response, 200, { keys: this.#published })
  }

  sign(claims: JWTPayload): Promise<string> {
    const { kid, privateKey } = this.#key
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey)
  }
}

async function createKey(kid: string): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } }
}
