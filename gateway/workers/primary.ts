import cluster from 'node:cluster'
import { extname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createServices, prepareStore } from '../app.ts'
import type { GatewayConfig } from '../config/schemas/config.ts'
import { CHECK_FAILED } from '../operations/admin/listener.ts'
import { processLog } from '../operations/log/log.ts'
import type { LogStream } from '../operations/log/log-sink.ts'
import { countsOf, type MetricsData } from '../operations/metrics/exposition.ts'
import { explainedStoreError, StartError } from '../operations/start-error.ts'
import type { Service } from '../serve/serve.ts'
import { GatewayWorker, type WorkerEnd } from './worker.ts'

/** What a worker runs: the source or what is made of it, as this file is. */
const WORKER_FILE = fileURLToPath(new URL(`main${extname(import.meta.url)}`, import.meta.url))

/** Before a worker is started in the place of one that has ended, doubled for each that did not live long. */
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000
const LONG_LIFE_MS = 10_000

/**
 * Serves by `config.workers` processes that share the public listener. This one looks at the store once, starts
 * them, replaces those that end, and keeps no connection of its own to anything.
 *
 * A start is whole: if one of the first workers cannot listen, all are ended.
 * @throws StartError when the store cannot be used. Source: requirements G-13, K-07.
 */
export async function serveByWorkers(first: GatewayConfig, logStream?: LogStream): Promise<Service> {
  let config = first
  const warnings = await lookAtStore(config)
  const log = processLog(config.log.level, logStream)
  const stopping = new AbortController()
  const workers = new Set<GatewayWorker>()
  /** All at start; later the others serve while one is replaced. */
  let needed = config.workers
  let providerWasReady = false
  /** What workers that have ended had counted, so that no count goes back. */
  let past: Promise<MetricsData> = Promise.resolve([])
  const kill = () => {
    for (const worker of workers) worker.kill()
  }
  const listening = () => [...workers].filter(({ listens }) => listens)
  // They would end by themselves, but for one that hangs.
  process.on('exit', kill)
  // Its policy stays the round robin: left to the kernel, most of the connections that are kept end up with a few.
  cluster.setupPrimary({ exec: WORKER_FILE, args: [] })

  return {
    log,
    warnings,
    /** Of those that listen, for each gets its share of the connections. */
    async readiness() {
      const answers = await Promise.all(
        listening().map((worker) => worker.readiness().catch(() => CHECK_FAILED)),
      )
      if (answers.length < needed) {
        return { ...CHECK_FAILED, workers: `${answers.length} of ${config.workers} listen` }
      }
      const problem = (check: 'forwarding' | 'store' | 'provider') =>
        answers.map((answer) => answer[check]).find((one) => one !== null) ?? null
      // As in one process: an outage after the first success is the provider's, and no other instance is better.
      providerWasReady ||= problem('provider') === null
      return {
        forwarding: problem('forwarding'),
        store: problem('store'),
        provider: providerWasReady ? null : problem('provider'),
        workers: null,
      }
    },

    async measure() {
      const counted = past
      const present = await Promise.all(listening().map((worker) => worker.measure()))
      return [await counted, ...present]
    },

    /** By one of them: what it ends is ended in all. */
    async sessions(request) {
      for (const worker of listening()) {
        const outcome = await worker.sessions(request).catch(() => undefined)
        if (outcome) return outcome
      }
      return { refused: 'unavailable', message: 'no worker answers' }
    },

    async listen() {
      try {
        const first = Array.from({ length: config.workers }, fork)
        const [address = ''] = await Promise.all(first.map(({ listening }) => listening))
        needed = 1
        for (const worker of first) void keep(worker)
        return { address }
      } catch (error) {
        kill()
        throw error
      }
    },

    /** In every worker, before any of them uses it: all of them swap, or none. */
    async prepare(next) {
      const asked = listening()
      if (asked.length === 0) throw new StartError('no worker listens')
      const discard = async () => {
        for (const worker of asked) worker.discard()
      }
      try {
        await Promise.all(asked.map((worker) => worker.prepare(next)))
      } catch (error) {
        await discard()
        throw error
      }
      return {
        swap() {
          config = next
          log.level = next.log.level
          for (const worker of workers) {
            if (asked.includes(worker)) worker.swap()
            // It is being started with the old one: the next in its place gets the new one.
            else worker.kill()
          }
        },
        discard,
      }
    },

    leave() {
      for (const worker of workers) worker.leave()
    },

    async close() {
      stopping.abort()
      await Promise.all([...workers].map(end))
      process.off('exit', kill)
    },
  }

  function fork(): GatewayWorker {
    const worker = new GatewayWorker(config)
    workers.add(worker)
    void worker.ended.then(() => {
      workers.delete(worker)
      const { measured } = worker
      if (measured.length > 0) past = past.then((before) => countsOf([before, measured]))
    })
    return worker
  }

  async function end(worker: GatewayWorker): Promise<void> {
    worker.stop()
    const ended = await worker.ended
    if (ended.code !== 0) log.error({ worker: worker.pid, ...ended }, 'a worker ended before its requests')
  }

  /** Keeps one place filled, ever more slowly while those who fill it do not live long. */
  async function keep(first: GatewayWorker): Promise<void> {
    let shortLives = 0
    for (let worker: GatewayWorker | undefined = first; ; worker = undefined) {
      const from = performance.now()
      const life = await lifeOf(worker)
      if (stopping.signal.aborted) return
      shortLives = performance.now() - from < LONG_LIFE_MS ? shortLives + 1 : 0
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** shortLives, LONGEST_PAUSE_MS)
      const line = { ...life, left: listening().length, nextStartMs: pauseMs }
      if ('err' in life) log.error(line, 'a worker could not start, trying again')
      else log.fatal(line, 'a worker ended, starting another')
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => {})
      if (stopping.signal.aborted) return
    }
  }

  /** Resolves when it is over, with what is to be said of it. */
  async function lifeOf(
    given: GatewayWorker | undefined,
  ): Promise<(WorkerEnd & { worker: number | undefined }) | { err: unknown }> {
    try {
      const worker = given ?? fork()
      await worker.listening
      return { worker: worker.pid, ...(await worker.ended) }
    } catch (err) {
      return { err }
    }
  }
}

/** Before any process is made for it. The connections of this one are closed again. */
async function lookAtStore(config: GatewayConfig): Promise<readonly string[]> {
  try {
    const { store } = createServices(config)
    const warnings = await prepareStore(store)
    await store.close()
    return warnings
  } catch (error) {
    throw explainedStoreError(error)
  }
}
