/**
 * What the garbage collector was asked to do, from the lines of `--trace-gc`: what lies between the heap after
 * one collection and before the next was allocated meanwhile. Only V8's heap: buffers outside of it are not seen.
 */
export interface Allocation {
  readonly bytesPerRequest: number
  /** Of the time, spent in collections. */
  readonly gcShare: number
  readonly collections: number
}

const LINE =
  /^\[\d+:0x[0-9a-f]+\]\s+(\d+) ms: .*? ([\d.]+) \([\d.]+\) -> ([\d.]+) \([\d.]+\) MB, (?:pooled: [\d.]+ MB, )?([\d.]+) \/ /gm
const MIB = 1024 * 1024

/**
 * @param output of a server that was started with `--trace-gc`.
 * @param seconds of the measured time, which is the last part of the trace; `requests` were answered in it.
 * @returns undefined where the trace is too short.
 */
export function readAllocation(output: string, requests: number, seconds: number): Allocation | undefined {
  const all = [...output.matchAll(LINE)].map(([, at, before, after, pause]) => ({
    at: Number(at),
    before: Number(before),
    after: Number(after),
    pause: Number(pause),
  }))
  const last = all.at(-1)
  if (last === undefined) return undefined
  const seen = all.filter(({ at }) => at > last.at - seconds * 1000)
  const from = seen[0]!
  const spanMs = last.at - from.at
  if (seen.length < 5 || spanMs <= 0) return undefined

  let allocated = 0
  let paused = 0
  for (let i = 1; i < seen.length; i += 1) {
    allocated += Math.max(0, seen[i]!.before - seen[i - 1]!.after)
    paused += seen[i]!.pause
  }
  const perSecond = (allocated * MIB * 1000) / spanMs
  return {
    bytesPerRequest: (perSecond * seconds) / requests,
    gcShare: paused / spanMs,
    collections: seen.length - 1,
  }
}
