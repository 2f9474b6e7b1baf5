import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/**
 * What the kernel says of processes and all their children: exact, and without any code in the server that is
 * measured. Empty where there is no /proc.
 */

/** USER_HZ is 100 on every Linux (proc(5)). */
const TICK_NANOSECONDS = 10_000_000

/** The processes and their descendants. */
export function processTree(roots: readonly number[]): number[] {
  return roots.flatMap((pid) => [pid, ...processTree(childrenOf(pid))])
}

/** CPU time in nanoseconds, of every thread that is alive, kernel included; undefined if it is not known. */
export function cpuNanoseconds(pids: readonly number[]): number | undefined {
  let sum = 0
  for (const thread of pids.flatMap(threadsOf)) {
    const spent = read(`${thread}/schedstat`)?.split(' ', 1)[0]
    if (spent !== undefined) sum += Number(spent)
  }
  return sum > 0 ? sum : undefined
}

/** CPU time in nanoseconds of whole processes, threads that have ended included; undefined if it is not known. To 10 ms. */
export function processNanoseconds(pids: readonly number[]): number | undefined {
  let ticks = 0
  for (const pid of pids) {
    // proc_pid_stat(5): behind the name, which may hold anything, utime and stime are the 12th and the 13th.
    const fields =
      read(`/proc/${pid}/stat`)
        ?.replace(/^.*\) /s, '')
        .split(' ') ?? []
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0)
  }
  return ticks > 0 ? ticks * TICK_NANOSECONDS : undefined
}

/** Bytes in memory now, and at most since `resetPeak`. */
export interface Memory {
  readonly residentBytes: number
  readonly peakBytes: number
}

export function memoryOf(pids: readonly number[]): Memory {
  const field = (name: string) => {
    const sizes = pids.map((pid) =>
      new RegExp(`${name}:\\s+(\\d+) kB`).exec(read(`/proc/${pid}/status`) ?? ''),
    )
    return sizes.reduce((sum, size) => sum + Number(size?.[1] ?? 0) * 1024, 0)
  }
  return { residentBytes: field('VmRSS'), peakBytes: field('VmHWM') }
}

/** Starts the peak anew at what is resident now (proc(5), clear_refs). */
export function resetPeak(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5')
    } catch {
      // Not ours, or no /proc: the peak is then the one since the start.
    }
  }
}

/** CPU time in nanoseconds that a core has spent on anything; undefined if it is not known. To 10 ms. */
export function coreNanoseconds(core: string): number | undefined {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(read('/proc/stat') ?? '')?.[1]
  if (line === undefined) return undefined
  // user nice system idle iowait irq softirq steal: all but the two that mean nothing was to be done.
  const ticks = line.split(' ', 8).map(Number)
  const busy = ticks.reduce((sum, one, i) => (i === 3 || i === 4 ? sum : sum + one), 0)
  return busy * TICK_NANOSECONDS
}

function childrenOf(pid: number): number[] {
  const lists = threadsOf(pid).map((thread) => read(`${thread}/children`) ?? '')
  return lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number))
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}`)
  } catch {
    return []
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}
