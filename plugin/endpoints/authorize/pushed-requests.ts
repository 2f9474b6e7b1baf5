import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Seals } from '../../grant/seals.ts'
import { Transactions } from '../../grant/transactions.ts'
import type { RegisteredClient } from '../../oauth/client.ts'
import { OAuthError } from '../../oauth/errors.ts'
import type { ResolvedOptions } from '../../options/resolved.ts'
import { randomBytes } from '../../secrets/random.ts'

/** RFC 9126 §2.2. */
const URN = 'urn:ietf:params:oauth:request_uri:'
const REFERENCE = /^[A-Za-z0-9_-]{64}$/
const SELECTOR_BYTES = 16
const SECRET_BYTES = 32
const LIFETIME_SECONDS = 60
const KEY = 'par:'

/** What is kept under a selector. Without `sealed`: it has been used. */
const Kept = Type.Object({ v: Type.Literal(1), sealed: Type.Optional(Type.String()) })
const kept = Compile(Kept)

/** A request that waits for its browser. */
export interface PushedRequest {
  /** Its parameters, as `formatPushedRequest` has them. */
  readonly form: string
  /** The page of providers has been shown for it: the link that the person follows says which one. */
  readonly awaitsChoice?: true
}

/** True for a `request_uri` as we make them. Any other is somebody else's document, which nobody fetches. */
export function isPushedRequestUri(requestUri: string | undefined): requestUri is string {
  return requestUri?.startsWith(URN) ?? false
}

/**
 * Authorization requests that their apps have pushed: each is kept for 60 s, for one use, and for its client alone.
 * It is sealed for the holder of its `request_uri`, and its key in the store opens nothing.
 *
 * Source: RFC 9126 §2.2, §4, §7; requirements A-25.
 */
export class PushedRequests {
  readonly #store: ResolvedOptions['store']
  readonly #seals: Seals
  readonly #transactionSeconds: number
  /** How many of an address, and in all, wait for their browsers. */
  readonly #waiting: Transactions
  /** Those that wait for a person's choice count as logins under way: they live as long. */
  readonly #transactions: Transactions

  /** @param before whose place these take: they count together. */
  constructor(
    { store, limits, lifetimes }: Pick<ResolvedOptions, 'store' | 'limits' | 'lifetimes'>,
    seals: Seals,
    transactions: Transactions,
    before?: PushedRequests,
  ) {
    this.#store = store
    this.#seals = seals
    this.#transactionSeconds = lifetimes.transactionSeconds
    this.#transactions = transactions
    this.#waiting = new Transactions(limits, LIFETIME_SECONDS * 1000, before ? before.#waiting : undefined)
  }

  /**
   * Keeps a request that has been checked.
   *
   * @param address as `limitedAddress` gives it.
   * @returns its `request_uri`, and the seconds that it lives.
   * @throws OAuthError 429 `transactions_per_address`, 503 `transactions_full`. @throws StoreError
   */
  async push(
    client: RegisteredClient,
    form: string,
    address: string,
  ): Promise<{ requestUri: string; expiresInSeconds: number }> {
    const requestUri = await this.#keep(client, { form }, { address, seconds: LIFETIME_SECONDS })
    return { requestUri, expiresInSeconds: LIFETIME_SECONDS }
  }

  /** Keeps a request, taken before, while a person chooses a provider. @returns a new `request_uri`. @throws as `push`. */
  pushAgain(client: RegisteredClient, form: string, address: string): Promise<string> {
    return this.#keep(client, { form, awaitsChoice: true }, { address, seconds: this.#transactionSeconds })
  }

  /**
   * The request behind a `request_uri`, for the first of its client's that asks. Nobody else can spend it.
   *
   * @throws OAuthError `pushed_request_unknown`, `pushed_request_used`. @throws StoreError
   */
  async take(client: RegisteredClient, requestUri: string): Promise<PushedRequest> {
    const reference = requestUri.slice(URN.length)
    if (!REFERENCE.test(reference)) throw new OAuthError('pushed_request_unknown')
    const { id, secret } = takeApart(Buffer.from(reference, 'base64url'))
    const record = await this.#store.read(KEY + id)
    const sealed = record && sealedIn(record.value)
    if (!record || sealed === null) throw new OAuthError('pushed_request_unknown')
    if (sealed === undefined) throw new OAuthError('pushed_request_used')
    const owner = { id, clientId: client.clientId }
    const request = this.#seals.openFor<PushedRequest>(owner, 'pushed_request', secret, sealed)
    if (request === null) throw new OAuthError('pushed_request_unknown')
    const used = JSON.stringify({ v: 1 } satisfies Type.Static<typeof Kept>)
    const isFirst = await this.#store.replace(KEY + id, record.version, used, LIFETIME_SECONDS * 1000)
    if (!isFirst) throw new OAuthError('pushed_request_used')
    this.#waiting.finish(id)
    this.#transactions.finish(id)
    return request
  }

  async #keep(
    { clientId }: RegisteredClient,
    request: PushedRequest,
    { address, seconds }: { readonly address: string; readonly seconds: number },
  ): Promise<string> {
    const bytes = randomBytes(SELECTOR_BYTES + SECRET_BYTES)
    const { id, secret } = takeApart(bytes)
    const counted = request.awaitsChoice ? this.#transactions : this.#waiting
    counted.begin(id, address, this.#store.now())
    try {
      const sealed = this.#seals.sealFor({ id, clientId }, 'pushed_request', secret, request)
      const value = JSON.stringify({ v: 1, sealed } satisfies Type.Static<typeof Kept>)
      if (!(await this.#store.create(KEY + id, value, seconds * 1000))) throw new OAuthError('internal')
    } catch (error) {
      counted.finish(id)
      throw error
    }
    return URN + bytes.toString('base64url')
  }
}

/** The part that names the record, and the part that opens it. */
function takeApart(bytes: Buffer): { id: string; secret: Buffer } {
  return { id: bytes.toString('base64url', 0, SELECTOR_BYTES), secret: bytes.subarray(SELECTOR_BYTES) }
}

/** What is sealed in a record: undefined once it has been used, null if it is no such record. */
function sealedIn(text: string): string | undefined | null {
  try {
    const value: unknown = JSON.parse(text)
    return kept.Check(value) ? value.sealed : null
  } catch {
    return null
  }
}
