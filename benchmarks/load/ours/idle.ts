import { Agent } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { memoryOf, processTree } from '../../measure/usage.ts'
import { answerOf } from '../../servers/bodies.ts'
import type { LoadPlan, LoadResult } from '../plan.ts'
import type { Connection } from './connection.ts'
import { EventClient } from './events.ts'
import { connections } from './load.ts'
import { comes } from './patience.ts'
import { Tally } from './tally.ts'
import { Tunnel } from './tunnel.ts'

type IdleMode = 'idle-connections' | 'idle-events' | 'idle-echo'

/** Something that has been opened and used once. */
interface Held {
  close(): void
}

/** Opens the `index`th of a plan. Resolves once it has been used; every failure is told, for as long as it is held. */
type Open = (plan: LoadPlan, index: number, failed: (why: string) => void) => Promise<Held>

const PATIENCE_MS = 30_000
/** Opened in the warm-up at least, however slow the machine is. */
const WARM_UPS = 300
/** That are being opened at a time. */
const CONCURRENT = 16
/** Less than the 5 s after which Node closes a connection that is not used. */
const HELD_SECONDS_MAX = 3
const MESSAGE = 'a message and its echo, and then silence'

const openers: Readonly<Record<IdleMode, Open>> = {
  'idle-connections': openConnection,
  'idle-events': openStream,
  'idle-echo': openTunnel,
}

export function isIdle(mode: LoadPlan['mode']): mode is IdleMode {
  return mode in openers
}

/**
 * Opens as many connections as the plan has, uses each once, and holds them. A request is a connection that is held.
 *
 * In the warm-up a few are opened and closed, over and over: everything is compiled then, and the young heap is as large
 * as it gets, but room for many connections has not been made yet.
 */
export async function runIdle(plan: LoadPlan, mode: IdleMode): Promise<LoadResult> {
  const tally = new Tally(plan)
  const held = new Set<Held>()
  let isOver = false
  const failed = (why: string) => {
    if (!isOver) tally.failed(why)
  }
  const open = (index: number, tell: (why: string) => void) => openers[mode](plan, index, tell)

  const warmUntil = performance.now() + plan.warmUpSeconds * 1000
  let warmUps = 0
  await Promise.all(
    Array.from({ length: CONCURRENT }, async (_, i) => {
      while (performance.now() < warmUntil || warmUps < WARM_UPS) {
        warmUps += 1
        let isClosed = false
        const one = await open(i, (why) => !isClosed && failed(why))
        isClosed = true
        one.close()
      }
    }),
  )
  await tally.rest()

  const before = residentBytes(plan)
  tally.begin()
  const indices = Array(plan.connections).keys()
  const openAll = Array.from({ length: CONCURRENT }, async () => {
    for (const index of indices) {
      const startedAt = performance.now()
      held.add(await open(index, failed))
      tally.answered((performance.now() - startedAt) * 1e6)
    }
  })
  if (!(await comes(Promise.all(openAll), PATIENCE_MS))) failed(`only ${held.size} could be opened`)
  await pause(Math.min(plan.seconds, HELD_SECONDS_MAX) * 1000)
  tally.end()
  const bytesPerConnection = (residentBytes(plan) - before) / plan.connections
  for (const one of held) {
    if ('isOpen' in one && one.isOpen === false) failed('a connection was closed while it was held')
  }
  isOver = true
  for (const one of held) one.close()
  return { ...tally.result(), bytesPerConnection }
}

function residentBytes({ processes }: LoadPlan): number {
  return memoryOf(processTree(processes)).residentBytes
}

function openConnection(plan: LoadPlan, _: number, failed: (why: string) => void): Promise<Connection> {
  return new Promise((resolve) => {
    const expected = { status: plan.status, answer: answerOf(plan.answer), slowMs: 0 }
    const listener = {
      answered: () => resolve(connection),
      failed: (_: unknown, why: string) => failed(why),
      received() {},
    }
    const connection = connections({ ...plan, connections: 1 }, expected, listener)[0]!
    connection.send(0)
  })
}

async function openStream(plan: LoadPlan, index: number, failed: (why: string) => void): Promise<Held> {
  const agent = new Agent({ keepAlive: true })
  const tally = { answered() {}, failed }
  await new EventClient(plan.port, requestOf(plan, index), agent, tally).next()
  return { close: () => agent.destroy() }
}

function openTunnel(plan: LoadPlan, index: number, failed: (why: string) => void): Promise<Tunnel> {
  return new Promise((resolve) => {
    new Tunnel(plan.port, requestOf(plan, index), MESSAGE, {
      opened: (tunnel) => tunnel.send(),
      echoed: resolve,
      failed: (_, why) => failed(why),
    })
  })
}

function requestOf({ requests }: LoadPlan, index: number) {
  return requests[index % requests.length]!
}
