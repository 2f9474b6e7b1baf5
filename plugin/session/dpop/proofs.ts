import { LruMap } from 'toad-cache'
import type { ProofKey } from '../../oauth/access/dpop-key.ts'
import { assertSigned, type DpopProof, isForTarget, parseProof } from '../../oauth/access/dpop-proof.ts'
import type { RegisteredClient } from '../../oauth/client.ts'
import { OAuthError } from '../../oauth/errors.ts'
import type { ProtectedRequest, Session } from '../session.ts'
import { Nonces } from './nonces.ts'
import { SeenProofs } from './seen-proofs.ts'

/** Keys of live sessions: one that is not among them is made anew, which costs as much as a verification. */
const KEYS_MAX = 10_000
/** Characters of a header with an RSA key of 4096 bits, and some to spare. */
const HEADER_MAX = 1200
const IAT_SECONDS = 60
const NONE: Readonly<Record<string, string>> = Object.freeze({})

/** What of a request a proof is for: any `FastifyRequest` has it. */
type ProvedRequest = Pick<ProtectedRequest, 'raw'>

/**
 * The check of DPoP proofs, at the endpoints and at protected resources (RFC 9449 §4.3). Synchronous from the first
 * look to the memory of what has been used: of two requests with one proof, one wins.
 *
 * The signature comes last, for it costs more than everything else together.
 */
export class DpopProofs {
  /** False: no client may have bound tokens, and nobody is told of them. */
  readonly isOffered: boolean
  readonly #origin: string
  readonly #now: () => number
  readonly #nonces: Nonces
  /** By the header of the proof, once its signature has been right. */
  readonly #keys: LruMap<ProofKey>
  /** Each its own: whoever needs no session to send proofs must not fill the other. */
  readonly #seenAtEndpoints: SeenProofs
  readonly #seenAtResources: SeenProofs
  readonly #knownKey = (header: string) => this.#keys.get(header)

  /**
   * @param now milliseconds of the store's clock.
   * @param before whose place this takes: what has been used there is used.
   */
  constructor(
    {
      publicUrl,
      clients,
      secrets,
    }: {
      readonly publicUrl: string
      readonly clients: ReadonlyMap<string, RegisteredClient>
      readonly secrets: readonly Buffer[]
    },
    now: () => number,
    before?: DpopProofs,
  ) {
    this.isOffered = [...clients.values()].some(({ enabled, dpop }) => enabled && dpop !== 'off')
    this.#origin = publicUrl
    this.#now = now
    this.#nonces = new Nonces(secrets, now)
    this.#keys = before ? before.#keys : new LruMap(KEYS_MAX)
    this.#seenAtEndpoints = before ? before.#seenAtEndpoints : new SeenProofs()
    this.#seenAtResources = before ? before.#seenAtResources : new SeenProofs()
  }

  /** The nonce that the next proof must have, for `DPoP-Nonce`. */
  get nonce(): string {
    return this.#nonces.current
  }

  /** Of the response to a request with this session (RFC 9449 §8.2). */
  headers({ jkt }: Session): Readonly<Record<string, string>> {
    return jkt === undefined ? NONE : { 'dpop-nonce': this.nonce }
  }

  /**
   * The thumbprint of the key that a request to an endpoint proves.
   *
   * @throws OAuthError `dpop_…`: 400 `invalid_dpop_proof` or `use_dpop_nonce`, 503 `dpop_proofs_full`.
   * Source: RFC 9449 §5, §8.
   */
  prove(request: ProvedRequest): string {
    const proof = parseProof(request.raw.rawHeaders, this.#knownKey)
    this.#judge(proof, request, this.#seenAtEndpoints)
    return proof.key.jkt
  }

  /**
   * Checks the proof of a request with a bound access token: its key is the token's, and it is for this token.
   *
   * @throws OAuthError as `prove`. Source: RFC 9449 §4.3 (10 to 12), §7.1, §9.
   */
  check(request: ProvedRequest, { jkt, tokenHash }: Session): void {
    const proof = parseProof(request.raw.rawHeaders, this.#knownKey)
    if (proof.key.jkt !== jkt) throw new OAuthError('dpop_proof_key')
    // What names the token in its grant is what `ath` is: its SHA-256, base64url.
    if (proof.ath !== tokenHash) throw new OAuthError('dpop_proof_token')
    this.#judge(proof, request, this.#seenAtResources)
    this.#remember(proof)
  }

  #remember({ header, key }: DpopProof): void {
    if (header.length > HEADER_MAX || this.#keys.get(header) === key) return
    // A copy: what was cut out of a longer string keeps that one.
    this.#keys.set(Buffer.from(header, 'latin1').toString('latin1'), key)
  }

  #judge(proof: DpopProof, { raw }: ProvedRequest, seen: SeenProofs): void {
    if (proof.htm !== raw.method || !isForTarget(proof, this.#origin, raw.url ?? '')) {
      throw new OAuthError('dpop_proof_target')
    }
    if (Math.abs(this.#now() / 1000 - proof.iat) > IAT_SECONDS) throw new OAuthError('dpop_proof_time')
    const window = proof.nonce === undefined ? undefined : this.#nonces.windowOf(proof.nonce)
    if (window === undefined) throw new OAuthError('dpop_nonce')
    // Of another key it is another proof, whatever its `jti`.
    const id = `${proof.key.jkt}${proof.jti}`
    if (seen.has(window, id)) throw new OAuthError('dpop_proof_replayed')
    assertSigned(proof)
    if (!seen.add(window, id, this.#nonces.oldest)) throw new OAuthError('dpop_proofs_full')
  }
}
