import cluster, { type Worker } from 'node:cluster'
import { EventEmitter, once } from 'node:events'
import type { GatewayConfig } from '../config/schemas/gateway.ts'
import type { Readiness } from '../operations/admin.ts'
import { StartError } from '../operations/start-error.ts'
import { errorOf, type ToPrimary, type ToWorker } from './messages.ts'

/** How a worker came to its end: one of the two, or neither where no process could be made. */
export interface WorkerEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** More than the store has for its answer. */
const READINESS_TIMEOUT_MS = 2000

/** One worker, as the primary sees it: a process, from its start to its end. */
export class GatewayWorker {
  /** Its address, once it accepts connections. Rejects with what kept it from that: ConfigError, StartError, Error. */
  readonly listening: Promise<string>
  readonly ended: Promise<WorkerEnd>
  readonly #worker: Worker
  readonly #answers = new EventEmitter()
  #asked: Promise<Readiness> | undefined
  #hears = false
  #listens = false

  /** @throws Error when the system gives no process. */
  constructor(config: GatewayConfig) {
    this.#worker = cluster.fork()
    this.ended = endOf(this.#worker)
    this.listening = new Promise((resolve, reject) => {
      this.#worker.on('message', (message: ToPrimary) => {
        switch (message.type) {
          case 'loaded':
            this.#hears = true
            return this.#tell({ type: 'start', config })
          case 'listening':
            this.#listens = true
            return resolve(message.address)
          case 'failed':
            return reject(errorOf(message.failure))
          case 'readiness':
            return this.#answers.emit('readiness', message.readiness)
        }
      })
      void this.ended.then(({ code, signal }) => {
        this.#listens = false
        const how = signal ?? (code === null ? 'the system gave it no process' : `exit status ${code}`)
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

  /** Reads the certificate again. */
  reload(): void {
    this.#tell({ type: 'reload' })
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

  #tell(message: ToWorker): void {
    // One that has ended meanwhile need not hear it.
    this.#worker.send(message, () => {})
  }
}

/** After the last message has been read, for it may be the reason. */
function endOf(worker: Worker): Promise<WorkerEnd> {
  const { process } = worker
  const exited = new Promise<WorkerEnd>((resolve) => {
    process.once('exit', (code, signal) => resolve({ code, signal: signal as NodeJS.Signals | null }))
  })
  const silent = new Promise((resolve) => process.once('disconnect', resolve))
  // No process was made, so that nothing else will be heard of it.
  const absent = new Promise<WorkerEnd>((resolve) => {
    worker.on('error', () => {
      if (process.pid === undefined) resolve({ code: null, signal: null })
    })
  })
  return Promise.race([absent, Promise.all([exited, silent]).then(([end]) => end)])
}
