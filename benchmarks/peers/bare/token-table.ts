import { hash } from 'node:crypto'

/** The least that can be called a session check: SHA-256 of the bearer token, a Map, an expiry. */
export class TokenTable {
  readonly #sessions = new Map<string, { expiresAt: number }>()

  constructor(token: string) {
    this.#sessions.set(hash('sha256', token, 'base64url'), { expiresAt: Date.now() + 86_400_000 })
  }

  /** @param authorization the value of the field, or undefined. */
  accepts(authorization: string | undefined): boolean {
    if (!authorization?.startsWith('Bearer ')) return false
    const session = this.#sessions.get(hash('sha256', authorization.slice(7), 'base64url'))
    return session !== undefined && session.expiresAt > Date.now()
  }
}
