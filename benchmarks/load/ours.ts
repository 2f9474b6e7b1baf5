import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { body } from '../bodies.ts'
import { Connection, type Listener } from './connection.ts'
import { latencyOf } from './latency.ts'
import { Pace } from './pace.ts'
import { type LoadPlan, type LoadResult, wireFormat } from './plan.ts'
import { Window } from './window.ts'

/** 64 KiB in so many milliseconds is what a phone on a bad line reads. */
const SLOW_MS = 50
const SETTLE_MS = 300
const PATIENCE_MS = 60_000
const ERRORS_SHOWN = 5

/** The load by our own client, with a histogram in nanoseconds. */
export async function runOurs(plan: LoadPlan): Promise<LoadResult> {
  const load = new Load(plan)
  try {
    return await load.run()
  } finally {
    load.close()
  }
}

class Load implements Listener {
  readonly #plan: LoadPlan
  readonly #window: Window
  readonly #wire: readonly (readonly Buffer[])[]
  readonly #connections: Connection[]
  readonly #histogram: RecordableHistogram = createHistogram()
  readonly #errorTexts: string[] = []
  #answered = 0
  #bytes = 0
  #errors = 0
  #next = 0
  /** Nothing more is sent. */
  #over = false
  #pace: Pace | null = null
  /** `once`: called when so many have been answered. */
  #milestone = Number.POSITIVE_INFINITY
  #reached: () => void = () => {}

  constructor(plan: LoadPlan) {
    this.#plan = plan
    this.#window = new Window(plan)
    const upload = plan.uploadBytes > 0 ? [body(plan.uploadBytes)] : []
    this.#wire = plan.requests.map((request) => [
      Buffer.from(wireFormat(request, plan.port, plan.uploadBytes), 'latin1'),
      ...upload,
    ])
    const expected = {
      status: plan.status,
      answer: expectedBody(plan.answer),
      slowMs: plan.mode === 'slow' ? SLOW_MS : 0,
    }
    this.#connections = Array.from(
      {
        length: Math.min(
          plan.connections,
          plan.mode === 'once' ? plan.requests.length : Number.POSITIVE_INFINITY,
        ),
      },
      () => new Connection(plan.port, expected, this),
    )
  }

  async run(): Promise<LoadResult> {
    const { mode, warmUpSeconds, seconds, requests } = this.#plan
    for (const connection of this.#connections) this.#sendNext(connection)
    if (mode === 'once') {
      await this.#answers(Math.ceil(requests.length / 3))
      this.#begin()
      await this.#answers(requests.length - Math.ceil(requests.length / 3))
      return this.#end()
    }
    // The second half of the warm-up tells the rate: the first is slow, because nothing is compiled yet.
    await pause((warmUpSeconds * 1000) / 2)
    const before = this.#answered
    await pause((warmUpSeconds * 1000) / 2)
    const reached = (this.#answered - before) / (warmUpSeconds / 2)
    if (mode === 'paced') return await this.#atPace(reached / 2, seconds)
    this.#begin()
    await pause(seconds * 1000)
    return this.#end()
  }

  close(): void {
    this.#over = true
    for (const connection of this.#connections) connection.close()
  }

  answered(connection: Connection, startedAt: number): void {
    this.#answered += 1
    if (this.#over) return
    this.#histogram.record(Math.max(1, Math.round((performance.now() - startedAt) * 1e6)))
    if (this.#answered >= this.#milestone) this.#reached()
    this.#sendNext(connection)
  }

  failed(connection: Connection, why: string): void {
    if (this.#over) return
    this.#errors += 1
    if (this.#errorTexts.length < ERRORS_SHOWN) this.#errorTexts.push(why)
    // A server that refuses everything need not be asked a million times.
    if (this.#errors >= 1000) this.#reached()
    else this.#sendNext(connection)
  }

  received(bytes: number): void {
    this.#bytes += bytes
  }

  #sendNext(connection: Connection): void {
    if (this.#over) return
    if (this.#pace !== null) this.#pace.isFree(connection)
    else if (this.#plan.mode !== 'once' || this.#next < this.#wire.length) connection.send(this.#request())
  }

  #request(): readonly Buffer[] {
    const request = this.#wire[this.#next % this.#wire.length]!
    this.#next += 1
    return request
  }

  /** @throws Error when they do not come. */
  async #answers(count: number): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      this.#reached = resolve
    })
    this.#milestone = this.#answered + count
    const timer = setTimeout(() => {
      this.#errors += 1
      this.#errorTexts.push(`not all answers came within ${PATIENCE_MS} ms`)
      this.#reached()
    }, PATIENCE_MS)
    await reached
    clearTimeout(timer)
    this.#milestone = Number.POSITIVE_INFINITY
  }

  async #atPace(pace: number, seconds: number): Promise<LoadResult> {
    this.#pace = new Pace(pace, (connection, due) => connection.send(this.#request(), due))
    await pause(SETTLE_MS)
    this.#begin()
    await pause(seconds * 1000)
    const result = this.#end()
    this.#pace.stop()
    return { ...result, pace }
  }

  #begin(): void {
    this.#answered = 0
    this.#bytes = 0
    this.#histogram.reset()
    this.#window.begin()
  }

  #end(): LoadResult {
    const used = this.#window.end()
    const requests = this.#answered
    this.#over = true
    return {
      requests,
      bytes: this.#bytes,
      errors: this.#errors,
      errorTexts: this.#errorTexts,
      latency: latencyOf(this.#histogram),
      ...used,
    }
  }
}

function expectedBody(answer: LoadPlan['answer']): Buffer | undefined {
  return typeof answer === 'number' ? body(answer) : answer === undefined ? undefined : Buffer.from(answer)
}
