/** One session as its app knows it, its story, and the judgement of its end. */
import type { Answer, Tokens } from '../../support/native-app.ts'
import type { Ledger } from '../ledger.ts'
import { LEASE_MS, lifetimes, PROVIDER_ALONE_SECONDS } from '../lifetimes.ts'
import type { Exchange, Note, ProviderGrant } from '../provider/grant.ts'
import type { Result } from '../requests.ts'

/** What may end a session. */
export type EndReason =
  | 'logout'
  | 'administrator'
  | 'reuse of a refresh token'
  | 'replay of the code'
  | 'session expiry'
  | 'idle expiry'
  /** The provider has given no refresh token, and its access token has expired. */
  | "expiry of the provider's token"
  | "the provider's refusal"
  | 'another subject'
  /** The instance had the provider's answer, and was killed before it could write it down: nobody can help that. */
  | 'instance killed in mid-refresh'
  /** A request whose app had gone lay in front of an instance that stood still; its token was an old one by then. */
  | 'reuse by an abandoned request'

/** From the provider's answer to the write, while the store answers. */
const COMMIT_MS = 1000
/** From SIGKILL to the end of the connections, as seen from here. */
const DYING_MS = 250
/** From the moment when an instance goes on to that when the app hears of it. */
const HEARD_MS = 8000

export class Session {
  readonly code: { readonly code: string; readonly verifier: string }
  readonly grant: ProviderGrant
  /** When the first token request began: the session can be no older. */
  readonly beganAt: number
  /** When the tokens came: the code was used up before. */
  readonly answeredAt = performance.now()
  /** Refresh tokens that were rotated away, oldest first. */
  readonly older: string[] = []
  /** What the app, or whoever has its tokens, does to end it. */
  ending: EndReason | undefined
  accessToken: string
  /** Undefined when the access token ends with the session. */
  refreshToken: string | undefined
  /** The access token is good until then, at least. */
  accessEndsAt: number
  /** When the refresh token was first presented, or undefined: an expiry counts from the last sign of life before. */
  #presentedAt: number | undefined
  #renewedAt: number
  readonly #notes: Note[] = []
  /** When the app left a refresh alone that was under way. */
  readonly #abandonedAt: number[] = []

  /** @param times when the first token request began, and the one that got the answer. */
  constructor(
    login: Session['code'] & { readonly grant: ProviderGrant },
    answer: Answer,
    { beganAt, from }: { readonly beganAt: number; readonly from: number },
  ) {
    this.code = login
    this.grant = login.grant
    this.beganAt = beganAt
    this.#renewedAt = beganAt
    const tokens = answer.json as unknown as Tokens
    this.accessToken = tokens.access_token
    this.refreshToken = tokens.refresh_token
    this.accessEndsAt = from + tokens.expires_in * 1000
    this.note('has begun')
  }

  note(what: string): void {
    this.#notes.push({ at: performance.now(), who: 'app', what })
  }

  /** What the app has sent, and what it got. */
  noteResult(what: string, result: Result): void {
    this.note(`${what} -> ${result === 'broken off' ? result : `${result.status} ${errorOf(result)}`}`)
  }

  /** The refresh token is about to be sent. */
  present(): void {
    this.#presentedAt ??= performance.now()
  }

  abandon(): void {
    this.#abandonedAt.push(performance.now())
  }

  /** @param from when the request began: the response may have waited on its way. */
  renew(answer: Answer, from: number): void {
    const tokens = answer.json as unknown as Tokens
    this.older.push(this.refreshToken!)
    this.#renewedAt = this.#presentedAt ?? performance.now()
    this.#presentedAt = undefined
    this.accessToken = tokens.access_token
    this.refreshToken = tokens.refresh_token
    this.accessEndsAt = from + tokens.expires_in * 1000
  }

  /** Why it has ended, or undefined if nothing of what may end a session has happened. */
  reasonOfEnd(ledger: Ledger): EndReason | undefined {
    const now = performance.now()
    const { ending, lost } = this.grant
    if (this.ending !== undefined) return this.ending
    if (ending === 'refused') return "the provider's refusal"
    if (ending === 'another subject') return 'another subject'
    if (now - this.beganAt >= lifetimes.sessionSeconds * 1000) return 'session expiry'
    const isAlone = this.grant.rotation === 'without refresh tokens'
    if (isAlone && now - this.beganAt >= PROVIDER_ALONE_SECONDS * 1000)
      return "expiry of the provider's token"
    // An app that has tried in time, and in vain until the end, has not been idle.
    const idleMs = (this.#presentedAt ?? now) - this.#renewedAt
    if (idleMs >= lifetimes.refreshIdleSeconds * 1000) return 'idle expiry'
    if (ending === 'used token') {
      return lost && isKilled(lost, ledger) ? 'instance killed in mid-refresh' : undefined
    }
    const isLate = this.#abandonedAt.some((at) =>
      ledger.faultsOf(at, at).some(({ what, to }) => what === 'silent' && now < to + HEARD_MS),
    )
    return isLate ? 'reuse by an abandoned request' : undefined
  }

  /** All that is known of it, in the order of time. No token is in it. */
  story(ledger: Ledger): string[] {
    const from = this.beganAt
    const faults = ledger.faultsOf(from, performance.now()).filter(({ by }) => by !== 'provider')
    const notes: Note[] = [
      ...this.#notes,
      ...this.grant.notes,
      ...faults.flatMap(({ by, what, from, to }) => [
        { at: from, who: by, what: `${what}, from here` },
        ...(Number.isFinite(to) ? [{ at: to, who: by, what: `${what}, until here` }] : []),
      ]),
    ]
    const [first = { at: from }] = notes.sort((a, b) => a.at - b.at)
    const { subject, rotation, ending } = this.grant
    return [
      `a session of ${subject}; the provider's refresh tokens rotate: ${rotation}; it calls it: ${ending ?? 'alive'}`,
      `${new Date(performance.timeOrigin + first.at).toISOString()} is 0 ms`,
      ...notes.map(({ at, who, what }) => `${Math.round(at - first.at)} ms, ${who}: ${what}`),
    ]
  }
}

/** Whether the one that had the answer was ended before it could have written it down. */
function isKilled({ at, delayMs, instance, isLost }: Exchange, ledger: Ledger): boolean {
  const answeredAt = at + delayMs
  const isStoreDown = ledger.faultsOf(at, answeredAt + COMMIT_MS).some(({ by }) => by === 'store')
  const until = answeredAt + (isStoreDown ? LEASE_MS : COMMIT_MS)
  const kills = ledger.kills.filter((kill) => kill.instance === instance)
  return isLost && kills.some((kill) => kill.at >= at - DYING_MS && kill.at <= until)
}

function errorOf({ text }: Answer): string {
  return /"error":"(\w+)"/.exec(text)?.[1] ?? ''
}
