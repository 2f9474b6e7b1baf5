import { Window } from '../load/ours/window.ts'
import type { LoadResult } from '../load/plan.ts'
import type { Peer, Place } from '../peers/peer.ts'
import type { Core } from './machine.ts'
import type { Started } from './process.ts'
import { processNanoseconds, processTree } from './usage.ts'

/**
 * A start as a measurement: from the making of the process until it is ready. Its CPU time is that of the whole
 * process, its memory the resident one once it has come to rest.
 *
 * @param start makes the processes of the server. Those that it has made are running at the end.
 * @param again once before, to its end: what it leaves for the next start is there then.
 */
export async function measureStart(
  start: () => readonly Started[],
  peer: Peer,
  { port, core }: Pick<Place, 'port'> & { core: Core },
  again: boolean,
): Promise<LoadResult> {
  if (again) {
    const before = start()
    await isReady(before, peer, port)
    for (const one of before) await one.stop()
  }
  const from = performance.now()
  const servers = start()
  await isReady(servers, peer, port)
  const wall = performance.now() - from
  const pids = servers.map(({ pid }) => pid)
  const cpuNanoseconds = processNanoseconds(processTree(pids))
  const window = new Window({ processes: pids, core })
  await window.rest()
  window.begin()
  const { memory } = window.end()
  const latency = wall * 1e6
  return {
    requests: 1,
    errors: 0,
    errorTexts: [],
    seconds: wall / 1000,
    latency: { p50: latency, p90: latency, p99: latency, p999: latency, max: latency },
    ...(cpuNanoseconds !== undefined && { cpuNanoseconds }),
    memory: { ...memory, idle: memory.warm },
  }
}

async function isReady(servers: readonly Started[], { readyText }: Peer, port: number): Promise<void> {
  const server = servers.at(-1)!
  if (readyText === undefined) await server.listening(port)
  else await server.writing(readyText)
}
