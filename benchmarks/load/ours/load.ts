import { setTimeout as pause } from 'node:timers/promises'
import { answerOf, body } from '../../servers/bodies.ts'
import { type LoadPlan, type LoadResult, wireFormat } from '../plan.ts'
import { type Client, Connection, type Expectations, type Listener } from './connection.ts'
import { http2Clients } from './http2.ts'
import { Pace } from './pace.ts'
import { comes } from './patience.ts'
import { Tally } from './tally.ts'

/** At most 64 KiB in so many milliseconds: less than any server could send, and 10 MiB in some four seconds. */
const SLOW_MS = 25
/** At full speed, to know half of it. */
const FULL_SPEED_MS = 1000
const SETTLE_MS = 300
/** Two hundred thousand answers, of a server that has a busy machine. */
const PATIENCE_MS = 300_000
/** For the answers that are under way in the end. */
const LAST_ANSWERS_MS = 10_000
const ERRORS_MAX = 1000

/** The load by our own client, with a histogram in nanoseconds. */
export async function runOurs(plan: LoadPlan): Promise<LoadResult> {
  const load = new Load(plan)
  try {
    return await load.run()
  } finally {
    load.close()
  }
}

/** The connections of a plan, which speak HTTP/1.1. */
export function connections(
  plan: LoadPlan,
  expected: Expectations,
  listener: Listener,
): readonly Connection[] {
  const upload = plan.uploadBytes > 0 ? [body(plan.uploadBytes)] : []
  const wire = plan.requests.map((request) => [
    Buffer.from(wireFormat(request, plan.port, plan.uploadBytes), 'latin1'),
    ...upload,
  ])
  const length = plan.connections
  return Array.from({ length }, () => new Connection(plan, wire, expected, listener))
}

class Load implements Listener {
  readonly #plan: LoadPlan
  readonly #tally: Tally
  readonly #clients: readonly Client[]
  /** Answered or failed. */
  #settled = 0
  #underWay = 0
  #next = 0
  /** Nothing more is sent. */
  #over = false
  #pace: Pace | null = null
  /** So many are to be settled. */
  #milestone = Number.POSITIVE_INFINITY
  /** Called when they are, or when nothing is under way any more. */
  #reached: () => void = () => {}

  constructor(plan: LoadPlan) {
    this.#plan = plan
    this.#tally = new Tally(plan)
    const expected = {
      status: plan.status,
      answer: answerOf(plan.answer),
      slowMs: plan.mode === 'slow' ? SLOW_MS : 0,
    }
    this.#clients =
      plan.secure?.protocol === 'h2'
        ? http2Clients(plan, plan.secure, expected, this)
        : connections(plan, expected, this)
  }

  async run(): Promise<LoadResult> {
    const { mode, warmUpSeconds, seconds, requests, before = 0 } = this.#plan
    for (const client of this.#clients) this.#sendNext(client)
    if (mode === 'once') {
      await this.#settling(Math.ceil(requests.length / 3))
      this.#tally.begin()
      await this.#settling(requests.length)
      this.#tally.end()
      return await this.#end()
    }
    if (before > 0) await this.#settling(before)
    await pause(warmUpSeconds * 1000)
    return mode === 'paced' ? await this.#atHalfOfItsSpeed(seconds) : await this.#measure(seconds)
  }

  close(): void {
    this.#over = true
    for (const client of this.#clients) client.close()
  }

  answered(client: Client, startedAt: number): void {
    if (!this.#over) this.#tally.answered((performance.now() - startedAt) * 1e6)
    this.#settle(client)
  }

  failed(client: Client, why: string): void {
    this.#tally.failed(why)
    this.#settle(client)
  }

  received(bytes: number): void {
    this.#tally.received(bytes)
  }

  #settle(client: Client): void {
    this.#settled += 1
    this.#underWay -= 1
    if (this.#isReached()) this.#reached()
    this.#sendNext(client)
  }

  /** A server that refuses everything need not be asked a million times. */
  #isReached(): boolean {
    return (
      this.#settled >= this.#milestone ||
      this.#tally.errors >= ERRORS_MAX ||
      (this.#over && this.#underWay === 0)
    )
  }

  #sendNext(client: Client): void {
    if (this.#pace !== null) this.#pace.isFree(client)
    else this.#send(client)
  }

  #send(client: Client, due?: number): void {
    const isUsedUp = this.#plan.mode === 'once' && this.#next === this.#plan.requests.length
    if (this.#over || isUsedUp || this.#tally.errors >= ERRORS_MAX) return
    this.#underWay += 1
    client.send(this.#indexOf(this.#next), due)
    this.#next += 1
  }

  #indexOf(sent: number): number {
    const { order, before = 0, requests } = this.#plan
    if (order === undefined || sent < before) return sent % requests.length
    return order[(sent - before) % order.length]!
  }

  /** Until so many of all are settled. */
  async #settling(count: number): Promise<void> {
    this.#milestone = count
    if (!(await this.#reaching(PATIENCE_MS))) this.#tally.failed('not all answers have come')
    this.#milestone = Number.POSITIVE_INFINITY
  }

  /** Resolves to false if it is not so within the time. */
  async #reaching(withinMs: number): Promise<boolean> {
    if (this.#isReached()) return true
    const reached = new Promise<void>((resolve) => {
      this.#reached = resolve
    })
    return await comes(reached, withinMs)
  }

  async #atHalfOfItsSpeed(seconds: number): Promise<LoadResult> {
    const before = this.#settled
    await pause(FULL_SPEED_MS)
    const pace = ((this.#settled - before) * 1000) / FULL_SPEED_MS / 2
    this.#pace = new Pace(pace, (client, due) => this.#send(client, due))
    await pause(SETTLE_MS)
    const result = await this.#measure(seconds)
    this.#pace.stop()
    return { ...result, pace }
  }

  async #measure(seconds: number): Promise<LoadResult> {
    await this.#tally.measure(seconds)
    return await this.#end()
  }

  /** A request that is never answered is an error. Slow readers are not waited for. */
  async #end(): Promise<LoadResult> {
    this.#over = true
    const isComplete = this.#plan.mode === 'slow' || (await this.#reaching(LAST_ANSWERS_MS))
    if (!isComplete) this.#tally.failed(`${this.#underWay} requests have no answer`)
    return this.#tally.result()
  }
}
