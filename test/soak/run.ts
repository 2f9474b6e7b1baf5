/** Three gateway processes on one Redis, users of all kinds, and faults in between. */
import { Redis } from 'ioredis'
import { startInstances } from '../support/instances.ts'
import { type RedisServer, startRedis } from '../support/redis-server.ts'
import type { Owner, SharedStore } from '../support/shared-store.ts'
import { heapAfterCollection, INSPECTED, residentBytes } from './heap.ts'
import { Ledger } from './ledger.ts'
import { LEASE_MS, type Successors, User } from './user.ts'

export interface SoakOptions {
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
  readonly keys: number
  /** Logins begun so far. */
  readonly logins: number
}

export interface SoakReport {
  readonly outcomes: Readonly<Record<string, number>>
  readonly violations: readonly string[]
  readonly samples: readonly Sample[]
  /** Keys that would never expire. */
  readonly eternalKeys: readonly string[]
  /** The longest life of any key, in seconds. */
  readonly longestKeySeconds: number
  readonly providerExchanges: number
  /** After the last of them should have expired, if that was awaited. */
  readonly keysLeft: number | undefined
}

/** All lives are short, so that expiry is part of it. A used code is remembered for a minute at least. */
const lifetimes = {
  transactionSeconds: 20,
  codeSeconds: 20,
  accessTokenSeconds: 8,
  refreshIdleSeconds: 30,
  sessionSeconds: 60,
  tombstoneSeconds: 60,
}
/** Of every key, and a little more. */
export const LONGEST_MS = 62_000
/** The provider's tokens live so long; half of it later a refresh asks the provider. */
const PROVIDER_SECONDS = 4

export async function soak(owner: Owner, options: SoakOptions): Promise<SoakReport> {
  // What an instance of it has acknowledged, a restart brings back: nothing may be lost.
  const server = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always'])
  owner.teardown(() => server.stop())
  const stack = await startInstances(owner, {
    store: onlyRedis(server),
    provider: 'stub',
    nodeArgs: [INSPECTED],
    change: (config) => ({
      ...config,
      lifetimes,
      provider: { ...config.provider, timeouts: { totalMs: LEASE_MS - 5000 } },
      log: { level: 'warn' },
    }),
  })
  if (typeof stack === 'string') throw new Error(stack)
  stack.setProviderLife(PROVIDER_SECONDS)
  const admin = new Redis(server.port, '127.0.0.1', { retryStrategy: () => 100 })
  admin.on('error', () => {})
  owner.teardown(() => admin.disconnect())

  const ledger = new Ledger()
  const samples: Sample[] = []
  const successors: Successors = new Map()
  const ending = new AbortController()
  const endsAt = performance.now() + options.seconds * 1000
  const users = Array.from({ length: options.users }, (_, index) =>
    new User(stack, `user-${index}`, ledger, successors).live(ending.signal),
  )
  const [steady, ...others] = stack.instances
  const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

  /** One after the other, for ever. */
  const faults = [
    async () => {
      const over = ledger.fault('redis killed')
      await server.kill()
      await pause(500)
      await server.restart()
      over()
    },
    async () => {
      const over = ledger.fault('instance killed')
      await others[0]?.end('SIGKILL')
      await others[0]?.start()
      over()
    },
    async () => {
      const over = ledger.fault('redis silent')
      server.pause()
      await pause(1500)
      server.resume()
      over()
    },
    async () => {
      const over = ledger.fault('instance restarted')
      await others[1]?.end('SIGTERM')
      await others[1]?.start()
      over()
    },
  ]
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
    const startedAt = performance.now()
    while (performance.now() < endsAt) {
      await pause(Math.min(options.sampleEveryMs, endsAt - performance.now()))
      samples.push({
        atSeconds: Math.round((performance.now() - startedAt) / 1000),
        heapBytes: await heapAfterCollection(steady!),
        residentBytes: residentBytes(steady!),
        keys: await admin.dbsize(),
        logins: ledger.logins,
      })
    }
  }
  await Promise.all([breakThings(), look()])
  ending.abort()
  await Promise.all(users)

  const exchanged = stack.stub.requests.flatMap(({ path, form }) =>
    path === '/token' && form.has('code') ? [form.get('code')] : [],
  )
  if (new Set(exchanged).size !== exchanged.length) ledger.violate("the provider's code was redeemed twice")
  for (const instance of stack.instances) {
    if (/"level":60|"reason":"internal"/.test(instance.log())) {
      ledger.violate(
        `instance ${instance.index} failed: ${/.*("level":60|"reason":"internal").*/.exec(instance.log())?.[0]}`,
      )
    }
  }
  const keys = await admin.keys('*')
  const lives = await Promise.all(keys.map(async (key) => ({ key, ms: await admin.pttl(key) })))
  return {
    outcomes: Object.fromEntries([...ledger.outcomes].sort(([a], [b]) => a.localeCompare(b))),
    violations: ledger.violations,
    samples,
    eternalKeys: lives.filter(({ ms }) => ms === -1).map(({ key }) => key),
    longestKeySeconds: Math.max(0, ...lives.map(({ ms }) => ms)) / 1000,
    providerExchanges: exchanged.length,
    keysLeft: options.untilExpired ? await keysLeft(admin) : undefined,
  }
}

/** Samples with more keys than one for each login within the life of a key, and one index for each user. */
export function tooManyKeys(samples: readonly Sample[], users: number): Sample[] {
  return samples.filter(({ atSeconds, keys, logins }) => {
    const before = samples.findLast((sample) => sample.atSeconds < atSeconds - LONGEST_MS / 1000)
    // The readiness check has a key, too.
    return keys > logins - (before?.logins ?? 0) + users + 1
  })
}

/** After the longest life that there is. */
async function keysLeft(admin: Redis): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, LONGEST_MS))
  return (await admin.keys('*')).length
}

function onlyRedis(server: RedisServer): SharedStore {
  const unused = () => {
    throw new Error('the soak asks Redis itself')
  }
  return {
    kind: 'redis',
    settings: { type: 'redis', url: server.url },
    open: unused,
    dump: unused,
    redis: [server],
    get postgres() {
      return unused()
    },
  }
}
