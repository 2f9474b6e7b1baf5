/** What breaks in a soak besides the provider's answers: stores and instances, and the provider as a whole. */
import { availableParallelism, loadavg } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import type { Instances } from '../support/instances.ts'
import type { Ledger } from './ledger.ts'
import type { SoakProvider } from './provider/provider.ts'

type Fault = () => Promise<void>

/** @returns them in the order in which they are to happen. The first instance is never ended. */
export function faultsOf(stack: Instances, provider: SoakProvider, ledger: Ledger): Fault[] {
  const server = stack.store.redis[0] ?? stack.store.postgres
  const [, second, third] = stack.instances

  const storeKilled = during(ledger, ['store', 'killed'], async () => {
    await server.kill()
    await pause(500)
    await server.restart()
  })
  const storeSilent = during(ledger, ['store', 'silent'], async () => {
    server.pause()
    await pause(1500)
    server.resume()
  })
  const instanceSilent = during(ledger, ['instance', 'silent'], async () => {
    second!.signal('SIGSTOP')
    await pause(1500)
    second!.signal('SIGCONT')
  })
  const instanceKilled = during(ledger, ['instance', 'killed'], async () => {
    ledger.kills.push({ instance: second!.index, at: performance.now() })
    await second!.end('SIGKILL')
    await second!.start()
  })
  const restarted = during(ledger, ['instance', 'restarted'], async () => {
    await third!.end('SIGTERM')
    await third!.start()
  })
  const providerAway = during(ledger, ['provider', 'away'], () => provider.leave(2000))
  const bothKilled = during(ledger, ['instance', 'killed'], async () => {
    const killed = third!.end('SIGKILL')
    ledger.kills.push({ instance: third!.index, at: performance.now() })
    await Promise.all([killed, storeKilled()])
    // Without a store no instance starts.
    await third!.start()
  })
  return [storeKilled, instanceKilled, storeSilent, restarted, providerAway, bothKilled, instanceSilent]
}

/** A timer may be so late. Whoever is starved for longer may miss the deadlines of a store, too (G-11). */
const LATE_MS = 300
/** So many processes may want a core: with more, others are starved although this one is not. */
const LOAD_PER_CORE = 4

/** Notes the times at which the machine has too much to do. It explains errors, and no end of a session. */
export function watchMachine(ledger: Ledger): () => void {
  let last = performance.now()
  let over: (() => void) | undefined
  const look = () => {
    const isLate = performance.now() - last > 100 + LATE_MS
    last = performance.now()
    if (isLate || loadavg()[0]! > availableParallelism() * LOAD_PER_CORE)
      over ??= ledger.fault('machine', 'overloaded')
    else {
      over?.()
      over = undefined
    }
  }
  look()
  const timer = setInterval(look, 100)
  return () => clearInterval(timer)
}

function during(ledger: Ledger, [by, what]: Parameters<Ledger['fault']>, work: Fault): Fault {
  return async () => {
    const over = ledger.fault(by, what)
    await work()
    over()
  }
}
