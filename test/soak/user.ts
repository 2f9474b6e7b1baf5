/** One user with an app, who logs in, calls, refreshes, logs out, forgets, repeats himself and tries tricks. */

import type { Instances } from '../support/instances.ts'
import { type Answer, type Attempt, NativeApp, send, type Tokens } from '../support/native-app.ts'
import type { Ledger, Result } from './ledger.ts'

/** A lease whose holder is gone is over after this time: the provider's deadline and five seconds. */
export const LEASE_MS = 6000
/** How long an instance may serve a session after its end: the age of the session cache (G-17). */
const CACHE_MS = 5000
/** The same where no fault is near: the notification's way. */
const NOTIFIED_MS = 1000

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const chance = (probability: number) => Math.random() < probability
const patiently = (request: () => Promise<Answer>): Promise<Result> =>
  request().catch(() => 'broken off' as const)

interface Session extends Tokens {
  /** When the access token ends, at the latest. */
  readonly endsAt: number
}

/** Successors of each refresh token, of all users. */
export type Successors = Map<string, Set<string>>

export class User {
  readonly #stack: Instances
  readonly #app: NativeApp
  readonly #name: string
  readonly #ledger: Ledger
  readonly #successors: Successors

  constructor(stack: Instances, name: string, ledger: Ledger, successors: Successors) {
    this.#stack = stack
    this.#app = new NativeApp(stack)
    this.#name = name
    this.#ledger = ledger
    this.#successors = successors
  }

  /** Lives until the signal. */
  async live(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      const session = await this.#login()
      if (session) await this.#use(session, ended)
      await pause(20)
    }
  }

  /** From the authorization request to the tokens; null where it has to be begun again. */
  async #login(): Promise<Session | null> {
    const code = await this.#authorize()
    if (code === null) return null
    // Some apps handle the redirect twice: the request goes to three instances at once.
    const copies = chance(0.1) ? 3 : 1
    let isUnknown = copies > 1
    for (;;) {
      const from = performance.now()
      const expected = isUnknown ? [200, 400] : [200]
      const results = await Promise.all(
        Array.from({ length: copies }, () => patiently(() => this.#app.redeem(code))),
      )
      const again = results.map((result) => this.#ledger.judge('token', result, from, expected))
      const won = results.filter((result) => result !== 'broken off' && result.status === 200) as Answer[]
      if (won.length > 1) this.#ledger.violate('one code, two sessions')
      if (won[0]) {
        // A copy that came much later was a replay, and has ended the session it was the code of (C-14).
        return copies > 1 ? null : sessionOf(won[0])
      }
      if (!again.some(Boolean)) return null
      isUnknown = true
      await pause(200)
    }
  }

  async #authorize(): Promise<(Attempt & { code: string }) | null> {
    const attempt = this.#app.begin()
    this.#ledger.logins += 1
    const from = performance.now()
    if (chance(0.05)) {
      const result = await patiently(() => send(attempt.url))
      this.#ledger.judge('authorize, and never come back', result, from, [302])
      return null
    }
    try {
      const redirect = await this.#stack.signIn(attempt.url, this.#name)
      this.#ledger.count('login at the provider')
      return { ...attempt, code: redirect.searchParams.get('code') ?? '' }
    } catch (error) {
      const fault = this.#ledger.explanation(from)
      this.#ledger.count(`login at the provider failed (${fault ?? 'UNEXPLAINED'})`)
      if (fault === undefined) this.#ledger.violate(`login: ${(error as Error).message}`)
      await pause(200)
      return null
    }
  }

  async #use(first: Session, ended: AbortSignal): Promise<void> {
    let session = first
    const older: string[] = []
    for (let uses = 5 + Math.floor(Math.random() * 80); uses > 0 && !ended.aborted; uses--) {
      await pause(10 + Math.random() * 40)
      if (chance(0.15) || session.endsAt - performance.now() < 500) {
        const next = await this.#refresh(session.refresh_token)
        if (next === null) return
        older.push(session.refresh_token)
        session = next
      } else await this.#forward(session)
    }
    if (chance(0.2)) return this.#ledger.count('session forgotten')
    if (older.length > 1 && chance(0.2)) return this.#reuse(session, older[0]!)
    await this.#revoke(session)
  }

  async #forward(session: Session): Promise<void> {
    const from = performance.now()
    const result = await patiently(() => this.#app.call(session.access_token))
    const isOver = performance.now() >= session.endsAt - 50
    this.#ledger.judge('forward', result, from, isOver ? [200, 401] : [200])
  }

  /** Alone, or twice at once; again as long as the outcome is unknown. */
  async #refresh(token: string): Promise<Session | null> {
    for (;;) {
      const from = performance.now()
      const results = await Promise.all(
        Array.from({ length: chance(0.2) ? 2 : 1 }, () => patiently(() => this.#app.refresh(token))),
      )
      const again = results.map((result) => this.#ledger.judge('refresh', result, from, [200], LEASE_MS))
      const won = results.filter((result) => result !== 'broken off' && result.status === 200) as Answer[]
      for (const answer of won) this.#remember(token, String(answer.json.refresh_token))
      if (won[0]) return sessionOf(won[0])
      if (!again.some(Boolean)) return null
      await pause(200)
    }
  }

  #remember(token: string, successor: string): void {
    const successors = this.#successors.get(token) ?? new Set()
    this.#successors.set(token, successors.add(successor))
    if (successors.size > 1) this.#ledger.violate('one refresh token, two successors')
  }

  /** A thief, or a backup of the app: an older generation ends the session. */
  async #reuse(session: Session, older: string): Promise<void> {
    for (;;) {
      const from = performance.now()
      const result = await patiently(() => this.#app.refresh(older))
      if (!this.#ledger.judge('refresh with an older token', result, from, [400])) break
      await pause(200)
    }
    await this.#isOver(session)
  }

  async #revoke(session: Session): Promise<void> {
    for (;;) {
      const from = performance.now()
      const result = await patiently(() => this.#app.revoke(session.refresh_token))
      if (!this.#ledger.judge('revoke', result, from, [200])) break
      await pause(200)
    }
    await this.#isOver(session)
  }

  /** On every instance, as soon as its notification has come; and for good. */
  async #isOver(session: Session): Promise<void> {
    const endedAt = performance.now()
    for (let refused = 0; refused < this.#stack.instances.length; ) {
      const from = performance.now()
      const result = await patiently(() => this.#app.call(session.access_token))
      this.#ledger.judge('forward after the end', result, from, [200, 401])
      if (result === 'broken off' || result.status === 503) await pause(200)
      else if (result.status === 401) refused += 1
      else {
        const lateMs = performance.now() - endedAt
        const allowedMs = this.#ledger.explanation(endedAt) === undefined ? NOTIFIED_MS : CACHE_MS
        if (lateMs > allowedMs) return this.#ledger.violate(`served ${Math.round(lateMs)} ms after the end`)
        refused = 0
      }
    }
    const from = performance.now()
    this.#ledger.judge(
      'refresh after the end',
      await patiently(() => this.#app.refresh(session.refresh_token)),
      from,
      [400],
    )
  }
}

function sessionOf(answer: Answer): Session {
  const tokens = answer.json as unknown as Tokens
  return { ...tokens, endsAt: performance.now() + tokens.expires_in * 1000 }
}
