/** The thread of an attack: what it costs is not the clients' time, who are measured in the main one. */
import { extname } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { Tally, Target } from './attack.ts'
import { type AttackName, attacks } from './index.ts'

interface Order {
  readonly name: AttackName
  readonly target: Target
}

/** Attacks for `target.seconds`, in a thread of its own. */
export async function attack(name: AttackName, target: Target): Promise<Tally> {
  const order: Order = { name, target }
  const worker = new Worker(new URL(`thread${extname(import.meta.url)}`, import.meta.url), {
    workerData: order,
  })
  return new Promise<Tally>((resolve, reject) => {
    worker.once('message', resolve).once('error', reject)
    worker.once('exit', (status) => reject(new Error(`the thread of ${name} has ended with ${status}`)))
  })
}

if (!isMainThread) {
  const { name, target } = workerData as Order
  parentPort?.postMessage(await attacks[name](target, AbortSignal.timeout(target.seconds * 1000)))
}
