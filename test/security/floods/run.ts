/** One attack after the other on a gateway, and beside them a client that only wants to do its work. */
import { setTimeout as pause } from 'node:timers/promises'
import { heapAfterCollection } from '../../soak/heap.ts'
import type { Owner } from '../../support/shared-store.ts'
import type { Tally } from './attacks/attack.ts'
import { type AttackName, attacks } from './attacks/index.ts'
import { attack } from './attacks/thread.ts'
import { type Measured, WellBehaved } from './client.ts'
import { type Holdings, holdingsOf } from './process.ts'
import { startFloodStack } from './stack.ts'

export interface FloodOptions {
  /** Of each attack. */
  readonly attackSeconds: number
  /** Before the first, between two, and after the last. */
  readonly calmSeconds: number
  /** Default: all. */
  readonly names?: readonly AttackName[]
}

export const ATTACKS = Object.keys(attacks) as AttackName[]

/** An attack, and the client's time before, during and after it. */
export interface FloodResult {
  readonly name: AttackName
  readonly tally: Tally
  readonly before: Measured
  readonly during: Measured
  readonly after: Measured
}

/** The most in a minute. */
export interface Minute extends Holdings {
  readonly minute: number
}

export interface Rest extends Holdings {
  /** After a full collection. */
  readonly heapBytes: number
}

export interface FloodReport {
  readonly results: readonly FloodResult[]
  readonly minutes: readonly Minute[]
  /** With the client alone: before the first attack, and after the last. */
  readonly start: Rest
  readonly end: Rest
  /** Lines of the gateway that tell of a failure of its own. */
  readonly internal: readonly string[]
}

/** Descriptors may differ so much between start and end: connections of the client, to the store, to the API. */
const DESCRIPTORS_SLACK = 10
const SETTLE_SECONDS = 20

/** @returns why the store cannot be had here. */
export async function flood(owner: Owner, options: FloodOptions): Promise<FloodReport | string> {
  const stack = await startFloodStack(owner)
  if (typeof stack === 'string') return stack
  const { port, ca, pid, app } = stack
  const { access_token } = await app.login()
  const target = { port, ca, token: access_token, seconds: options.attackSeconds }
  const client = new WellBehaved(app)
  const living = client.live()
  const stopWatching = watch(pid)

  const calm = async () => {
    await pause(options.calmSeconds * 1000)
    return client.take()
  }
  const atRest = async (): Promise<Rest> => ({
    heapBytes: await heapAfterCollection(stack),
    ...holdingsOf(pid),
  })
  // The first requests of a process are compiled, not answered.
  await calm()
  const start = await atRest()
  client.take()
  const results: FloodResult[] = []
  let before = await calm()
  for (const name of options.names ?? ATTACKS) {
    const tally = await attack(name, target)
    const during = client.take()
    const after = await calm()
    results.push({ name, tally, before, during, after })
    before = after
  }
  const giveUpAt = performance.now() + SETTLE_SECONDS * 1000
  const isBack = () => holdingsOf(pid).descriptors <= start.descriptors + DESCRIPTORS_SLACK
  while (!isBack() && performance.now() < giveUpAt) await pause(500)
  const end = await atRest()
  const minutes = stopWatching()
  client.end()
  await living
  const internal = stack
    .log()
    .split('\n')
    .filter((line) => /"level":60|"reason":"internal"|"msg":"request failed"/.test(line))
  return { results, minutes, start, end, internal }
}

/** What must not be; empty if all is well. */
export function problemsOf({ results, start, end, internal }: FloodReport): string[] {
  return [
    ...results.flatMap(({ name, before, during, after }) =>
      [...before.failures, ...during.failures, ...after.failures].map((failure) => `${name}: ${failure}`),
    ),
    ...(end.descriptors > start.descriptors + DESCRIPTORS_SLACK
      ? [`${end.descriptors} descriptors at the end, ${start.descriptors} at the start`]
      : []),
    ...internal,
  ]
}

/** Looks each second. @returns ends it, and gives what was there at most in each minute. */
function watch(pid: number): () => Minute[] {
  const startedAt = performance.now()
  const minutes: Minute[] = []
  const look = () => {
    const minute = Math.floor((performance.now() - startedAt) / 60_000)
    const { residentBytes, descriptors } = holdingsOf(pid)
    const most = minutes[minute] ?? { residentBytes: 0, descriptors: 0 }
    minutes[minute] = {
      minute: minute + 1,
      residentBytes: Math.max(most.residentBytes, residentBytes),
      descriptors: Math.max(most.descriptors, descriptors),
    }
  }
  const timer = setInterval(look, 1000)
  return () => {
    clearInterval(timer)
    return minutes
  }
}
