/** Three gateway processes on one store, users of all kinds, a provider of all kinds, and faults in between. */
import { setMaxListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { startInstances } from '../support/instances.ts'
import { type Owner, startSharedStore } from '../support/shared-store.ts'
import { Deck } from './deck.ts'
import { faultsOf, watchMachine } from './faults.ts'
import { heapAfterCollection, INSPECTED, residentBytes } from './heap.ts'
import { isMark, keysOf } from './keys.ts'
import { Ledger } from './ledger.ts'
import { LOGIN_MS, lifetimes, MARK_MS, PROVIDER_TOTAL_MS } from './lifetimes.ts'
import { SoakProvider, secretOf } from './provider/provider.ts'
import { startAdministrator } from './users/administrator.ts'
import { HABITS } from './users/habits.ts'
import { type SessionFigures, Sessions } from './users/sessions.ts'
import { User } from './users/user.ts'
import type { World } from './users/world.ts'

export interface SoakOptions {
  readonly store: 'redis' | 'postgres'
  readonly seconds: number
  readonly users: number
  /** From the beginning of one fault to that of the next. */
  readonly faultEveryMs: number
  readonly sampleEveryMs: number
  /** Waits in the end until every key has expired. */
  readonly untilExpired: boolean
}

/** What one sample shows. The heap is that of the instance that is never restarted. */
export interface Sample {
  readonly atSeconds: number
  readonly heapBytes: number
  readonly residentBytes: number
  /** But for the indexes of correlation ids, and the marks of the channels. */
  readonly keys: number
  /** Those: few share one here. */
  readonly correlationIndexes: number
  /** Of the channels, on Redis. */
  readonly marks: number
  /** Logins begun so far. */
  readonly logins: number
}

export interface SoakReport {
  readonly sessions: SessionFigures
  readonly outcomes: Readonly<Record<string, number>>
  readonly violations: readonly string[]
  readonly samples: readonly Sample[]
  /** Those with more keys than can be accounted for. */
  readonly crowded: readonly Sample[]
  /** Keys that would never expire. */
  readonly eternalKeys: readonly string[]
  /** The longest life of any key, in seconds. */
  readonly longestKeySeconds: number
  readonly providerExchanges: number
  /** With all its repetitions, of any session. */
  readonly slowestRefreshSeconds: number
  /** After the last of them should have expired, if that was awaited. */
  readonly keysLeft: number | undefined
}

/** @returns why the store cannot be had here. */
export async function soak(owner: Owner, options: SoakOptions): Promise<SoakReport | string> {
  // What an instance of it has acknowledged, a restart brings back: nothing may be lost.
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always']
  const store = await startSharedStore(owner, options.store, durable)
  if (typeof store === 'string') return store
  const stack = await startInstances(owner, {
    store,
    provider: 'stub',
    nodeArgs: [INSPECTED],
    change: (config, index) => ({
      ...config,
      lifetimes,
      clients: config.clients.map((client) => ({ ...client, repeatableExchange: true })),
      // They remember for ten minutes of whom they have counted the first call: too long for what is looked at here.
      admin: { ...config.admin, metrics: false },
      provider: {
        ...config.provider,
        clientSecret: secretOf(index),
        timeouts: { totalMs: PROVIDER_TOTAL_MS },
      },
      log: { level: 'warn' },
    }),
  })
  if (typeof stack === 'string') return stack
  const ledger = new Ledger()
  const sessions = new Sessions(ledger)
  const provider = await SoakProvider.over(stack.stub, ledger)
  const administrator = await startAdministrator(owner, stack)
  const keys = keysOf(owner, store)

  const samples: Sample[] = []
  const ending = new AbortController()
  // Each user waits for it.
  setMaxListeners(0, ending.signal)
  const endsAt = performance.now() + options.seconds * 1000
  const world: World = {
    stack,
    provider,
    administrator,
    ledger,
    sessions,
    habits: new Deck(HABITS),
    ended: ending.signal,
  }
  const stopWatching = watchMachine(ledger)
  const users = Array.from({ length: options.users }, (_, index) => new User(world, `user-${index}`).live())

  const faults = faultsOf(stack, provider, ledger)
  const breakThings = async () => {
    for (let turn = 0; ; turn++) {
      const beganAt = performance.now()
      await pause(options.faultEveryMs / 2)
      // The last thing to be seen is that all is well.
      if (endsAt - performance.now() < options.faultEveryMs) return
      await faults[turn % faults.length]?.()
      await pause(Math.max(0, options.faultEveryMs - (performance.now() - beganAt)))
    }
  }
  const look = async () => {
    const steady = stack.instances[0]!
    const startedAt = performance.now()
    while (performance.now() < endsAt) {
      await pause(Math.min(options.sampleEveryMs, endsAt - performance.now()))
      samples.push({
        atSeconds: Math.round((performance.now() - startedAt) / 1000),
        heapBytes: await heapAfterCollection(steady),
        residentBytes: residentBytes(steady),
        ...countKeys(await keys.all()),
        logins: ledger.logins,
      })
    }
  }
  await Promise.all([breakThings(), look()])
  ending.abort()
  await Promise.all(users)
  stopWatching()

  for (const instance of stack.instances) {
    const failure = /.*("level":60|"reason":"internal").*/.exec(instance.log())?.[0]
    if (failure !== undefined) ledger.violate(`instance ${instance.index} failed: ${failure}`)
  }
  const lives = await keys.all()
  return {
    sessions: sessions.figures(),
    outcomes: Object.fromEntries([...ledger.outcomes].sort(([a], [b]) => a.localeCompare(b))),
    violations: ledger.violations,
    samples,
    crowded: tooManyKeys(samples, options, stack.instances.length),
    eternalKeys: lives.filter(({ ms }) => ms === -1).map(({ name }) => name),
    longestKeySeconds: Math.max(0, ...lives.map(({ ms }) => ms)) / 1000,
    providerExchanges: provider.exchanges,
    slowestRefreshSeconds: ledger.slowestRefreshMs / 1000,
    keysLeft: options.untilExpired ? await keys.leftOver() : undefined,
  }
}

function countKeys(all: readonly { readonly name: string }[]) {
  const correlationIndexes = all.filter(({ name }) => /(?:^|:)correlation:[0-9a-f]{3}$/.test(name)).length
  const marks = all.filter(({ name }) => isMark(name)).length
  return { keys: all.length - correlationIndexes - marks, correlationIndexes, marks }
}

/**
 * Samples with more keys than one for each login within the life of a key, and one index for each user; or with more
 * indexes of correlation ids than such logins; or with more marks than channels: one for each instance, and one for
 * each that a fault has ended within the life of a mark.
 */
function tooManyKeys(
  samples: readonly Sample[],
  { users, faultEveryMs }: SoakOptions,
  instances: number,
): Sample[] {
  const channels = instances * (1 + Math.ceil(MARK_MS / faultEveryMs))
  return samples.filter(({ atSeconds, keys, correlationIndexes, marks, logins }) => {
    const before = samples.findLast((sample) => sample.atSeconds < atSeconds - LOGIN_MS / 1000)
    const recent = logins - (before?.logins ?? 0)
    // The readiness check has a key, too.
    return keys > recent + users + 1 || correlationIndexes > recent || marks > channels
  })
}
