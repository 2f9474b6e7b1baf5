import { readFileSync } from 'node:fs'
import { WebSocket } from 'undici'
import type { Instance } from '../support/instances.ts'

/** For `node`: an inspector on a port of its own, which it tells on stderr. */
export const INSPECTED = '--inspect=127.0.0.1:0'

/** The JavaScript heap in use, in bytes, after a full collection. */
export async function heapAfterCollection(instance: Pick<Instance, 'log'>): Promise<number> {
  const url = [...instance.log().matchAll(/Debugger listening on (ws:\S+)/g)].at(-1)?.[1]
  if (url === undefined) throw new Error('the instance was not started with an inspector')
  const inspector = new WebSocket(url)
  try {
    await new Promise((resolve, reject) => {
      inspector.addEventListener('open', resolve)
      inspector.addEventListener('error', reject)
    })
    const ask = (id: number, method: string) =>
      new Promise<{ usedSize: number }>((resolve) => {
        inspector.addEventListener('message', ({ data }) => {
          const answer = JSON.parse(String(data))
          if (answer.id === id) resolve(answer.result)
        })
        inspector.send(JSON.stringify({ id, method }))
      })
    await ask(1, 'HeapProfiler.collectGarbage')
    return (await ask(2, 'Runtime.getHeapUsage')).usedSize
  } finally {
    inspector.close()
  }
}

/** Resident memory, in bytes. */
export function residentBytes({ pid }: Instance): number {
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}
