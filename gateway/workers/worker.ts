import type { ChildProcess } from 'node:child_process'
import cluster, { type Worker } from 'node:cluster'
import { EventEmitter, once } from 'node:events'
import type { GatewayConfig } from '../config/schemas/config.ts'
import type { Readiness } from '../operations/admin/listener.ts'
import type { SessionOutcome, SessionRequest } from '../operations/admin/sessions.ts'
import type { MetricsData } from '../operations/metrics/exposition.ts'
import { StartError } from '../operations/start-error.ts'
import { errorOf, type ToPrimary, type ToWorker } from './messages.ts'

/** How a worker came to its end: a status or a signal, or neither where no process could be made. */
export interface WorkerEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Why it was ended by us. */
  readonly reason?: string
}

/** More than the store has for its answer. */
const READINESS_TIMEOUT_MS = 2000

/** Less than a scrape may take; after that what it has told last is good enough. */
const MEASURE_TIMEOUT_MS = 2000
/** More than the store has for reading, or ending, all sessions of somebody. */
const SESSIONS_TIMEOUT_MS = 10_000

/** More than the store and the provider have for their answers. */
const PREPARE_TIMEOUT_MS = 30_000

/** How often a worker is asked whether its event loop turns. */
const PING_MS = 1000
/**
 * Questions in a row that a worker may leave without an answer. They are counted, and no clock is read: a machine that
 * was suspended, or has no time for this process either, asks less often, and all of it counts as one question.
 */
const UNANSWERED_MAX = 10
/** As long as it loads it cannot answer: on a busy machine that takes a while. */
const UNANSWERED_MAX_LOADING = 60

/** After its exit, for its last messages. */
const LAST_WORDS_MS = 1000

/** One worker, as the primary sees it: a process, from its start to its end. */
export class GatewayWorker {
  /** Its address, once it accepts connections. Rejects with what kept it from that: ConfigError, StartError, Error. */
  readonly listening: Promise<string>
  readonly ended: Promise<WorkerEnd>
  readonly #worker: Worker
  readonly #answers = new EventEmitter()
  #asked: Promise<Readiness> | undefined
  #measured: MetricsData = []
  #questions = 0
  #hears = false
  #listens = false
  #unanswered = 0
  #reason: string | undefined

  /** @throws Error when the system gives no process. */
  constructor(config: GatewayConfig) {
    this.#worker = cluster.fork()
    const closeLost = watchConnections(this.#worker.process)
    const pinging = setInterval(() => this.#ping(), PING_MS)
    this.ended = endOf(this.#worker).then((end) => {
      clearInterval(pinging)
      // Without its last word node:cluster goes on counting on it.
      this.#worker.disconnect()
      closeLost()
      return { ...end, ...(this.#reason && { reason: this.#reason }) }
    })
    this.listening = new Promise((resolve, reject) => {
      this.#worker.on('message', (message: ToPrimary) => {
        switch (message.type) {
          case 'loaded':
            this.#hears = true
            this.#unanswered = 0
            return this.#tell({ type: 'start', config })
          case 'listening':
            this.#listens = true
            return resolve(message.address)
          case 'failed':
            return reject(errorOf(message.failure))
          case 'readiness':
            return this.#answers.emit('readiness', message.readiness)
          case 'metrics':
            this.#measured = message.data
            return this.#answers.emit('metrics')
          case 'sessions':
            return this.#answers.emit(`sessions ${message.id}`, message.outcome)
          case 'prepared':
            return this.#answers.emit('prepared')
          case 'refused':
            return this.#answers.emit('prepared', errorOf(message.failure))
          case 'pong':
            this.#unanswered = 0
            return
        }
      })
      void this.ended.then(({ code, signal, reason }) => {
        this.#listens = false
        const how =
          reason ?? signal ?? (code === null ? 'the system gave it no process' : `exit status ${code}`)
        reject(new StartError(`a worker ended before it listened: ${how}`))
      })
    })
    // Nobody need wait for it.
    this.listening.catch(() => {})
  }

  get pid(): number | undefined {
    return this.#worker.process.pid
  }

  /** True while it accepts connections. */
  get listens(): boolean {
    return this.#listens
  }

  /** What it says itself, to all who ask at the time. @throws AbortError when it does not answer in time. */
  readiness(): Promise<Readiness> {
    this.#asked ??= this.#ask().finally(() => {
      this.#asked = undefined
    })
    return this.#asked
  }

  async #ask(): Promise<Readiness> {
    const answer = once(this.#answers, 'readiness', { signal: AbortSignal.timeout(READINESS_TIMEOUT_MS) })
    this.#tell({ type: 'readiness' })
    const [readiness] = await answer
    return readiness
  }

  /** What it has counted, or had when it was last asked and has answered. */
  async measure(): Promise<MetricsData> {
    const answer = once(this.#answers, 'metrics', { signal: AbortSignal.timeout(MEASURE_TIMEOUT_MS) })
    this.#tell({ type: 'measure' })
    await answer.catch(() => {})
    return this.#measured
  }

  /** What it had counted when it was last asked. */
  get measured(): MetricsData {
    return this.#measured
  }

  /** Has it list or end sessions. @throws Error when it ends, or does not answer in time. */
  async sessions(request: SessionRequest): Promise<SessionOutcome> {
    const id = this.#questions++
    const signal = AbortSignal.timeout(SESSIONS_TIMEOUT_MS)
    const answer = once(this.#answers, `sessions ${id}`, { signal })
    this.#tell({ type: 'sessions', id, request })
    const ended = this.ended.then(() => Promise.reject(new Error('a worker ended')))
    const [outcome] = await Promise.race([answer, ended])
    return outcome
  }

  /** Makes another configuration ready: then `swap` or `discard`. @throws Error when it cannot, or does not in time. */
  async prepare(config: GatewayConfig): Promise<void> {
    const answer = once(this.#answers, 'prepared', { signal: AbortSignal.timeout(PREPARE_TIMEOUT_MS) })
    this.#tell({ type: 'prepare', config })
    const ended = this.ended.then(() => [new Error('a worker ended')])
    const [problem] = await Promise.race([answer, ended])
    if (problem) throw problem
  }

  /** What it has made ready serves from now on. */
  swap(): void {
    this.#tell({ type: 'swap' })
  }

  /** What it may have made ready is not wanted. */
  discard(): void {
    this.#tell({ type: 'discard' })
  }

  /** Its answers are the last of their connections; it still accepts new ones. */
  leave(): void {
    this.#tell({ type: 'leave' })
  }

  /** Lets the requests in flight finish, and ends. */
  stop(): void {
    if (this.#hears) this.#tell({ type: 'stop' })
    else this.kill()
  }

  /** Ends at once, whatever it is doing. */
  kill(): void {
    this.#worker.process.kill('SIGKILL')
  }

  /** Asks for a sign of life, or ends it if it has not given any for too long. */
  #ping(): void {
    const max = this.#hears ? UNANSWERED_MAX : UNANSWERED_MAX_LOADING
    if (this.#unanswered === max) {
      this.#reason = `it hangs: no answer for ${(max * PING_MS) / 1000} s`
      this.kill()
      return
    }
    this.#unanswered++
    if (this.#hears) this.#tell({ type: 'ping' })
  }

  #tell(message: ToWorker): void {
    // One that has ended meanwhile need not hear it.
    this.#worker.send(message, () => {})
  }
}

/**
 * After the last message has been read, for it may be the reason. Node says so by `close`; for its `disconnect` one
 * would wait for ever if a connection was on its way to the worker.
 */
function endOf(worker: Worker): Promise<WorkerEnd> {
  const { process } = worker
  return new Promise((resolve) => {
    process.once('exit', (code, signal) => {
      const end = () => resolve({ code, signal: signal as NodeJS.Signals | null })
      const late = setTimeout(end, LAST_WORDS_MS)
      process.once('close', () => {
        clearTimeout(late)
        end()
      })
    })
    // No process was made, so that nothing else will be heard of it.
    worker.on('error', () => {
      if (process.pid === undefined) resolve({ code: null, signal: null })
    })
  })
}

/**
 * Remembers the connection that was last sent to a worker: node:cluster sends the next one when it has arrived, and
 * closes its own copy. If the worker ends before that, nobody would close the copy, and the client would wait for ever.
 *
 * @returns closes it. No effect if it has arrived.
 */
function watchConnections(process: ChildProcess): () => void {
  let last: { close(): void } | undefined
  const send = process.send.bind(process) as (...args: unknown[]) => boolean
  process.send = (message: unknown, handle?: unknown, ...rest: unknown[]) => {
    if (typeof handle === 'object' && handle !== null) last = handle as { close(): void }
    return send(message, handle, ...rest)
  }
  return () => last?.close()
}
