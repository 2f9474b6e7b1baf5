import { OAuthError } from '../oauth/errors.ts'

interface Transaction {
  readonly address: string
  readonly expiresAt: number
}

/**
 * How many logins that began at this process are under way, in all and for each address (v6: its /64). New
 * ones are refused rather than live ones evicted, so that a flood cannot push out a login that has begun
 * (requirements A-20).
 */
export class Transactions {
  readonly #limits: { transactionsPerAddress: number; transactions: number }
  readonly #lifetimeMs: number
  /** In the order of their beginning, which is that of their end. */
  readonly #underWay: Map<string, Transaction>
  readonly #perAddress: Map<string, number>

  /** @param before whose place these take: they count together, as long as requests end there. */
  constructor(
    limits: { transactionsPerAddress: number; transactions: number },
    lifetimeMs: number,
    before?: Transactions,
  ) {
    this.#limits = limits
    this.#lifetimeMs = lifetimeMs
    this.#underWay = before ? before.#underWay : new Map()
    this.#perAddress = before ? before.#perAddress : new Map()
  }

  /** @param address as `limitedAddress` gives it. @throws OAuthError 429 `transactions_per_address`, 503 `transactions_full`. */
  begin(grantId: string, address: string, now: number): void {
    this.#dropExpired(now)
    // Begun twice by one person's two clicks, it is one.
    if (this.#underWay.has(grantId)) return
    const count = this.#perAddress.get(address) ?? 0
    if (count >= this.#limits.transactionsPerAddress) throw new OAuthError('transactions_per_address')
    if (this.#underWay.size >= this.#limits.transactions) throw new OAuthError('transactions_full')
    this.#underWay.set(grantId, { address, expiresAt: now + this.#lifetimeMs })
    this.#perAddress.set(address, count + 1)
  }

  /** The browser came back, or the login never began. One that began on another instance is no error. */
  finish(grantId: string): void {
    const transaction = this.#underWay.get(grantId)
    if (!transaction) return
    this.#underWay.delete(grantId)
    const count = this.#perAddress.get(transaction.address)! - 1
    if (count === 0) this.#perAddress.delete(transaction.address)
    else this.#perAddress.set(transaction.address, count)
  }

  /** The first change of a grant that began here is its callback, on whichever instance the browser came back to. */
  onChange(grantId: string): void {
    this.finish(grantId)
  }

  /** What ended unheard is forgotten with its time. */
  onGap(): void {}

  onResume(): void {}

  #dropExpired(now: number): void {
    for (const [grantId, transaction] of this.#underWay) {
      if (transaction.expiresAt > now) return
      this.finish(grantId)
    }
  }
}
