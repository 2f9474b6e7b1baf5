import { Agent, get, type IncomingMessage } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { EventReader } from '../../servers/event-stream.ts'
import type { LoadPlan, LoadResult, PlannedRequest } from '../plan.ts'
import { comes } from './patience.ts'
import { Tally } from './tally.ts'

/** For an event of every stream. */
const PATIENCE_MS = 10_000

/**
 * Opens an event stream on each connection and reads all of them. A request is an event that was delivered, its
 * latency the way from the upstream; the upstream sends at a fixed rate, so what is compared is the CPU time.
 */
export async function runEvents(plan: LoadPlan): Promise<LoadResult> {
  const tally = new Tally(plan)
  const agent = new Agent({ keepAlive: true })
  const streams = Array.from(
    { length: plan.connections },
    (_, i) => new EventClient(plan.port, plan.requests[i % plan.requests.length]!, agent, tally),
  )
  const allDeliver = async () => {
    const isSo = await comes(Promise.all(streams.map((stream) => stream.next())), PATIENCE_MS)
    if (!isSo) tally.failed('not every stream has events')
  }
  await allDeliver()
  await pause(plan.warmUpSeconds * 1000)
  await tally.measure(plan.seconds)
  await allDeliver()
  agent.destroy()
  return tally.result()
}

/** One event stream, every event of it compared. */
export class EventClient {
  readonly #tally: Pick<Tally, 'answered' | 'failed'>
  readonly #reader = new EventReader()
  #next: () => void = () => {}

  constructor(
    port: number,
    { path, headers }: PlannedRequest,
    agent: Agent,
    tally: Pick<Tally, 'answered' | 'failed'>,
  ) {
    this.#tally = tally
    const request = get({ host: '127.0.0.1', port, path, headers, agent })
    request.on('error', (error) => this.#fail(error.message))
    request.on('response', (response: IncomingMessage) => {
      if (response.statusCode !== 200) this.#fail(`a stream was answered with ${response.statusCode}`)
      response.on('close', () => this.#fail('a stream has ended'))
      response.setEncoding('latin1').on('data', (text: string) => this.#read(text))
    })
  }

  /** Resolves with the next event or failure. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#next = resolve
    })
  }

  #read(text: string): void {
    try {
      for (const latency of this.#reader.read(text)) {
        this.#tally.answered(latency)
        this.#next()
      }
    } catch (error) {
      this.#fail((error as Error).message)
    }
  }

  #fail(why: string): void {
    this.#tally.failed(why)
    this.#next()
  }
}
