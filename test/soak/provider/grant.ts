import type { ServerResponse } from 'node:http'

/**
 * What a refresh brings: a new refresh token, and the old one is dead; the same one again; none, and the old one stays.
 * Or there never was one.
 */
export type Rotation = 'strict' | 'same' | 'none' | 'without refresh tokens'

/** Why the provider refuses a grant's refresh tokens from now on. */
export type ProviderEnding =
  | 'refused'
  | 'another subject'
  /** We asked for it. */
  | 'revoked'
  /** A refresh token came again that had been used: what was issued for it is lost. */
  | 'used token'

/** An answer by which a refresh token was used up. */
export interface Exchange {
  readonly at: number
  readonly instance: number
  readonly delayMs: number
  /** The token that it brought was never presented. */
  isLost: boolean
}

export interface Note {
  readonly at: number
  readonly who: string
  readonly what: string
}

interface Refusal {
  readonly status: number
  readonly contentType?: string
  readonly body: string
}
const INVALID_GRANT: Refusal = { status: 400, body: '{"error":"invalid_grant"}' }
/** An app is told after one refusal, or after another one if the instance was killed meanwhile. */
const REFUSALS_MAX = 5

/** What the provider knows of one login. Its tokens have names, so that a story can be told without them. */
export class ProviderGrant {
  readonly subject: string
  readonly rotation: Rotation
  /** It is never ended by the provider, so that some sessions reach the end of their life. */
  readonly isSpared: boolean
  readonly notes: Note[] = []
  nonce: string | undefined
  /** The refresh token that is good now. */
  current: string | undefined
  ending: ProviderEnding | undefined
  /** Of the token that came again. */
  lost: Exchange | undefined
  #refusal = INVALID_GRANT
  #refusals = 0
  #isBusy = false
  readonly #names = new Map<string, string>()
  readonly #used = new Map<string, Exchange>()
  #last: Exchange | undefined

  constructor(subject: string, rotation: Rotation, isSpared: boolean) {
    this.subject = subject
    this.rotation = rotation
    this.isSpared = isSpared
  }

  note(what: string): void {
    this.notes.push({ at: performance.now(), who: 'provider', what })
  }

  nameOf(refreshToken: string): string {
    if (!this.#names.has(refreshToken)) this.#names.set(refreshToken, `refresh token ${this.#names.size}`)
    return this.#names.get(refreshToken)!
  }

  /** False while another refresh has no answer yet. */
  begin(response: ServerResponse): boolean {
    const isAlone = !this.#isBusy
    this.#isBusy = true
    response.once('close', () => {
      this.#isBusy = false
    })
    return isAlone
  }

  /** What is answered to a refresh token that is not good, or undefined. */
  refusalOf(presented: string, instance: number): Refusal | undefined {
    const used = this.#used.get(presented)
    if (this.ending === undefined && used !== undefined) {
      this.lost = used
      this.end('used token')
    }
    if (this.ending === undefined) {
      if (this.#last) this.#last.isLost = false
      return undefined
    }
    this.#refusals += 1
    this.note(`${this.nameOf(presented)} from instance ${instance} refused: ${this.ending}`)
    return this.#refusal
  }

  /** True if it was asked again and again, although it had refused. */
  get isPestered(): boolean {
    return this.#refusals > REFUSALS_MAX
  }

  /** A refresh token has been used, by an answer that is on its way. */
  issued(presented: string, successor: string | undefined, by: { instance: number; delayMs: number }): void {
    this.note(`issued ${successor === undefined ? 'no new refresh token' : this.nameOf(successor)}`)
    if (this.rotation !== 'strict') return
    this.#last = { at: performance.now(), ...by, isLost: true }
    this.#used.set(presented, this.#last)
    this.current = successor
  }

  /** The first ending counts. */
  end(ending: ProviderEnding, refusal?: Refusal | 'none' | 'cut off'): void {
    if (this.ending !== undefined) return
    this.ending = ending
    if (typeof refusal === 'object') this.#refusal = refusal
  }
}
