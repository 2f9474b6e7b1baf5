import type { Answer } from '../../support/native-app.ts'
import type { Ledger } from '../ledger.ts'
import type { EndReason, Session } from './session.ts'

/** All sessions of a soak: how many have begun, and what became of each. */
export interface SessionFigures {
  readonly begun: number
  readonly ended: Readonly<Partial<Record<EndReason, number>>>
  /** Refreshed in the end, with success. */
  readonly alive: number
  /** Nobody has asked again. */
  readonly forgotten: number
  /** Ended, and nothing tells why: the story of each. */
  readonly unexplained: readonly (readonly string[])[]
}

export class Sessions {
  readonly #ledger: Ledger
  readonly #ended = new Map<EndReason, number>()
  readonly #unexplained: string[][] = []
  readonly #successors = new Map<string, string>()
  #begun = 0
  #alive = 0
  #forgotten = 0

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  begin(session: Session): Session {
    this.#begun += 1
    return session
  }

  /** A refresh token has been answered: always with the same successor (D-05). */
  succeed(token: string, answer: Answer): void {
    const successor = String(answer.json.refresh_token)
    const known = this.#successors.get(token)
    if (known !== undefined && known !== successor) this.#ledger.violate('one refresh token, two successors')
    this.#successors.set(token, successor)
  }

  /** The app has been told that it is over. @returns why. */
  end(session: Session): EndReason | undefined {
    const reason = session.reasonOfEnd(this.#ledger)
    if (reason === undefined) this.#unexplained.push(session.story(this.#ledger))
    else this.#ended.set(reason, (this.#ended.get(reason) ?? 0) + 1)
    this.#look(session)
    return reason
  }

  stays(session: Session): void {
    this.#alive += 1
    this.#look(session)
  }

  forget(session: Session): void {
    this.#forgotten += 1
    this.#look(session)
  }

  #look({ grant }: Session): void {
    if (grant.isPestered)
      this.#ledger.violate('the provider has refused, and is asked again and again (D-10)')
  }

  figures(): SessionFigures {
    return {
      begun: this.#begun,
      ended: Object.fromEntries(this.#ended),
      alive: this.#alive,
      forgotten: this.#forgotten,
      unexplained: this.#unexplained,
    }
  }
}
