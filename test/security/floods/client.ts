/** A client that does what an app does, one thing after the other: logs in, calls, refreshes, logs out. */
import type { Answer, NativeApp, Tokens } from '../../support/native-app.ts'

const CALLS_MS = 5000
const CALL_EVERY_MS = 10
/** In each session. */
const REFRESHES = 2

/** In milliseconds. */
export interface Latency {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface Measured {
  readonly requests: number
  readonly failures: readonly string[]
  /** Of calls through the gateway. */
  readonly calls: Latency
  /** Of whole logins; null if there was none. */
  readonly logins: Latency | null
}

export class WellBehaved {
  readonly #app: NativeApp
  #over = false
  #requests = 0
  #failures: string[] = []
  #calls: number[] = []
  #logins: number[] = []

  constructor(app: NativeApp) {
    this.#app = app
  }

  /** Resolves after `end`. */
  async live(): Promise<void> {
    while (!this.#over) {
      try {
        await this.#session()
      } catch (error) {
        this.#failures.push(String(error))
        await pause(CALL_EVERY_MS)
      }
    }
  }

  end(): void {
    this.#over = true
  }

  /** What has been measured since this was last asked. */
  take(): Measured {
    const measured = {
      requests: this.#requests,
      failures: this.#failures,
      calls: latencyOf(this.#calls),
      logins: this.#logins.length === 0 ? null : latencyOf(this.#logins),
    }
    this.#requests = 0
    this.#failures = []
    this.#calls = []
    this.#logins = []
    return measured
  }

  async #session(): Promise<void> {
    const startedAt = performance.now()
    let tokens = await this.#app.login()
    this.#requests += 3
    this.#logins.push(performance.now() - startedAt)
    for (let part = 0; part <= REFRESHES; part++) {
      const until = performance.now() + CALLS_MS / (REFRESHES + 1)
      while (performance.now() < until && !this.#over) {
        await this.#call(tokens)
        await pause(CALL_EVERY_MS)
      }
      if (part === REFRESHES || this.#over) break
      const answer = await this.#app.refresh(tokens.refresh_token)
      this.#expect200(answer)
      tokens = answer.json as unknown as Tokens
    }
    this.#expect200(await this.#app.revoke(tokens.refresh_token))
  }

  async #call({ access_token }: Tokens): Promise<void> {
    const startedAt = performance.now()
    const answer = await this.#app.call(access_token)
    this.#calls.push(performance.now() - startedAt)
    this.#expect200(answer)
  }

  #expect200({ status, text }: Answer): void {
    this.#requests++
    if (status !== 200) throw new Error(`${status} ${text.slice(0, 200)}`)
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

function latencyOf(durations: readonly number[]): Latency {
  const sorted = [...durations].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}
