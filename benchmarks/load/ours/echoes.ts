import { setTimeout as pause } from 'node:timers/promises'
import type { LoadPlan, LoadResult } from '../plan.ts'
import { comes } from './patience.ts'
import { Tally } from './tally.ts'
import { Tunnel } from './tunnel.ts'

/** For all tunnels to open, and for the last echo of each. */
const PATIENCE_MS = 10_000
const MESSAGE_BYTES = 100

/** Opens a tunnel on each connection, each with a message under way at all times. A request is an echo. */
export async function runEchoes(plan: LoadPlan): Promise<LoadResult> {
  const tally = new Tally(plan)
  let isOver = false
  /** Tunnels that are neither opened nor, in the end, at rest. */
  let awaited = plan.connections
  let reached = () => {}
  const settle = () => {
    awaited -= 1
    if (awaited === 0) reached()
  }
  const allSettled = () => comes(new Promise<void>((resolve) => (reached = resolve)), PATIENCE_MS)

  const listener = {
    opened: settle,
    echoed(tunnel: Tunnel, startedAt: number) {
      if (isOver) {
        settle()
        return
      }
      tally.answered((performance.now() - startedAt) * 1e6)
      tunnel.send()
    },
    failed: (_: Tunnel, why: string) => tally.failed(why),
  }
  const tunnels = Array.from({ length: plan.connections }, (_, i) => {
    const request = plan.requests[i % plan.requests.length]!
    return new Tunnel(plan.port, request, messageOf(i), listener)
  })
  if (!(await allSettled())) tally.failed(`${awaited} tunnels could not be opened`)

  for (const tunnel of tunnels) tunnel.send()
  await pause(plan.warmUpSeconds * 1000)
  await tally.measure(plan.seconds)
  isOver = true
  awaited = plan.connections
  if (!(await allSettled())) tally.failed(`${awaited} messages were not sent back`)
  for (const tunnel of tunnels) tunnel.close()
  return tally.result()
}

function messageOf(tunnel: number): string {
  return `message of tunnel ${tunnel} `.padEnd(MESSAGE_BYTES, 'coffee ')
}
