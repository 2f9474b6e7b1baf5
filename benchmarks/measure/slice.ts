import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Generator, LoadPlan, LoadResult } from '../load/plan.ts'
import { type Place, secureOf } from '../peers/peer.ts'
import type { Case, Contender } from '../plan/case.ts'
import { program } from '../plan/project.ts'
import type { Keys } from '../servers/keys.ts'
import { redisCommand } from '../servers/redis.ts'
import type { Core, Machine } from './machine.ts'
import { type Command, freePort, outputFile, Started } from './process.ts'
import { measureStart } from './start.ts'

/** What the slices of a run have in common. */
export interface Stage {
  readonly node: string
  readonly pinning: Machine['pinning']
  readonly upstream: number
  readonly provider: number
  readonly keys: Keys
  /** Everything is written below it, and it is removed in the end. */
  readonly folder: string
}

/** How long, and by what. */
export interface Timing {
  readonly generator: Generator
  readonly warmUpSeconds: number
  readonly seconds: number
  /** Requests of a slice where none is sent twice; a third of them is the warm-up. */
  readonly onceRequests: number
}

/** One measurement. */
export interface Slice extends LoadResult {
  /** All that the server wrote, e.g. the lines of `--trace-gc`. */
  readonly output: string
  readonly folder: string
}

/** A new folder for a run, which is removed when the run ends, however it ends. */
export function stageFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'benchmarks-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/**
 * One measurement of one server: fresh processes, the checks of its answers, the load, and its end.
 *
 * @throws Error when it does not start, answers wrongly, or the load cannot be made.
 */
export async function measure(
  stage: Stage,
  one: Pick<Case, 'mode' | 'connections' | 'handshakes' | 'allCores'>,
  contender: Contender,
  timing: Timing,
  nodeFlags: readonly string[] = [],
): Promise<Slice> {
  const folder = mkdtempSync(join(stage.folder, `${contender.peer.name}-`))
  const place: Place = {
    port: await freePort(),
    helperPort: await freePort(),
    upstream: stage.upstream,
    provider: stage.provider,
    redis: await freePort(),
    folder,
    node: stage.node,
    nodeFlags,
    keys: stage.keys,
  }
  const started: Started[] = []
  const start = (command: Command, core: Core, name: string): Started => {
    const process = new Started(command, core, outputFile(folder, name))
    started.push(process)
    return process
  }
  try {
    if (contender.peer.needsRedis) {
      await start(redisCommand(place), stage.pinning.load, 'redis').listening(place.redis)
    }
    const { peer } = contender
    const mode = contender.mode ?? one.mode
    const core = one.allCores ? null : stage.pinning.server
    const startServers = () =>
      peer.commands(place).map((command) => start(command, core, `server-${started.length}`))
    if (mode === 'start' || mode === 'restart') {
      const result = await measureStart(startServers, peer, { port: place.port, core }, mode === 'restart')
      await contender.prepare(place, 1)
      return { ...result, folder, output: started.at(-1)!.output() }
    }
    const servers = startServers()
    await servers.at(-1)!.listening(place.port)
    if (servers.length > 1) await servers[0]!.listening(place.helperPort)
    const count = mode === 'once' ? timing.onceRequests : 1
    const {
      requests,
      order,
      before = 0,
      uploadBytes = 0,
      status,
      answer,
    } = await contender.prepare(place, count)
    const secure = secureOf(peer, place)
    const result = await runLoad(stage, folder, {
      generator: timing.generator,
      port: place.port,
      ...(secure && { secure }),
      ...(one.handshakes && { handshakes: one.handshakes }),
      connections: one.connections,
      mode,
      warmUpSeconds: timing.warmUpSeconds,
      seconds: timing.seconds,
      requests,
      ...(order && { order }),
      before,
      uploadBytes,
      status,
      ...(answer !== undefined && { answer }),
      processes: servers.map(({ pid }) => pid),
      core,
    })
    return { ...result, folder, output: servers.at(-1)!.output() }
  } finally {
    for (const one of started.toReversed()) await one.stop()
  }
}

/** The load's own process, fresh as well, on its own core. */
async function runLoad({ node, pinning }: Stage, folder: string, plan: LoadPlan): Promise<LoadResult> {
  const planFile = join(folder, 'plan.json')
  const resultFile = join(folder, 'result.json')
  writeFileSync(planFile, JSON.stringify(plan))
  const argument = JSON.stringify({ planFile, resultFile, folder })
  const command = { file: node, args: [program('load/main.js'), argument] }
  const load = new Started(command, pinning.load, outputFile(folder, 'load'))
  const code = await load.exited()
  if (code !== 0) throw new Error(`the load ended with ${code}: ${load.output()}`)
  return JSON.parse(readFileSync(resultFile, 'utf8')) as LoadResult
}

/** What every server needs around it: the upstream and the provider, beside the load. */
export async function startSurroundings(
  stage: Omit<Stage, 'keys'>,
  keys: Keys,
): Promise<{ stop(): Promise<void> }> {
  const { node, pinning, folder, upstream, provider } = stage
  mkdirSync(folder, { recursive: true })
  const start = (name: string, argument: object) =>
    new Started(
      { file: node, args: [program(`servers/${name}.js`), JSON.stringify(argument)] },
      pinning.load,
      outputFile(folder, name),
    )
  const processes = [
    start('upstream', { port: upstream }),
    start('provider', { port: provider, jwks: keys.jwks }),
  ]
  await processes[0]!.listening(upstream)
  await processes[1]!.listening(provider)
  return {
    async stop() {
      for (const one of processes) await one.stop()
    },
  }
}
