import { isDisturbed, type Summary } from './summary.ts'

/** What the project has set itself: the ratio of two lines of one case, megabytes over idle, or seconds over another. */
export interface Target {
  readonly caseName: string
  readonly name: string
  /** `idle`: of memory. */
  readonly against: string
  /** The ratio of memory when idle, or the difference of CPU seconds per request. Default: the ratio of the case. */
  readonly of?: 'idle-memory' | 'cpu-seconds'
  readonly atLeast?: number
  readonly atMost?: number
  /** Instead of `atLeast` where the servers run on Node 24 or newer. */
  readonly atLeastOnNode24?: number
}

/** A target with what was measured. `disturbed`: something else ran beside it, so that it says nothing. */
export interface Verdict extends Target {
  readonly measured: number
  readonly outcome: 'met' | 'missed' | 'disturbed'
}

const forward = (against: string, atLeast: number): Target => ({
  caseName: 'forward-get',
  name: 'gateway',
  against,
  atLeast,
})

const login = (caseName: string, against: string, atLeast: number, atLeastOnNode24 = atLeast): Target => ({
  caseName,
  name: 'gateway',
  against,
  atLeast,
  atLeastOnNode24,
})

const between = (caseName: string, name: string, against: string, atLeast: number): Target => ({
  caseName,
  name,
  against,
  atLeast,
})

/** Requests per second, except for `latency` and `start`. */
export const targets: readonly Target[] = [
  forward('bare', 0.9),
  forward('http-proxy', 1.3),
  forward('plugin-http-proxy', 1.5),
  forward('jwt-http-proxy-hs256', 1.8),
  forward('jwt-http-proxy-rs256', 3.3),
  forward('express-jwt-rs256', 4.5),
  forward('apache-oidc-introspection', 1.05),
  forward('apache-oidc-rs256', 1.8),
  forward('caddy', 1.5),
  forward('nginx-auth-request', 0.75),
  forward('nginx', 0.25),
  { caseName: 'forward-session', name: 'gateway-redis-warm', against: 'bare', atLeast: 0.9 },
  { caseName: 'forward-down-10m', name: 'gateway', against: 'bare', atLeast: 0.9 },
  { caseName: 'forward-up-10m', name: 'gateway', against: 'bare', atLeast: 0.9 },
  { caseName: 'slow-readers', name: 'gateway', against: 'idle', atMost: 40 },
  { caseName: 'forward-down-10m', name: 'gateway', against: 'idle', atMost: 40 },
  { caseName: 'forward-up-10m', name: 'gateway', against: 'idle', atMost: 40 },
  { caseName: 'forward-down-10m', name: 'gateway', against: 'http-proxy', atLeast: 1 },
  { caseName: 'http2-get', name: 'gateway', against: 'bare-http2', atLeast: 0.75 },
  { caseName: 'prefixes', name: 'gateway-1000-prefixes', against: 'gateway', atLeast: 0.95 },
  { caseName: 'start', name: 'gateway', against: 'http-proxy', atMost: 2 },
  { caseName: 'start', name: 'gateway', against: 'http-proxy', of: 'idle-memory', atMost: 1.4 },
  { caseName: 'start', name: 'gateway-10000-clients', against: 'gateway', of: 'cpu-seconds', atMost: 1 },
  { caseName: 'latency', name: 'gateway', against: 'bare', atMost: 1.5 },
  { caseName: 'sessions', name: 'gateway-1000000', against: 'gateway-1000', atLeast: 0.9 },
  between('active-sessions', 'gateway-active-200000', 'gateway-active-1000', 0.75),
  between('many-sessions', 'gateway-bursts', 'gateway-one', 0.8),
  between('many-sessions', 'gateway-redis-bursts', 'gateway-redis-one', 0.8),
  between('forward-first-use', 'gateway-first', 'gateway', 0.55),
  between('forward-first-use', 'gateway-redis-first', 'gateway-redis', 0.48),
  login('authorize', 'minimal', 0.72),
  login('callback', 'minimal', 0.45),
  login('token-exchange', 'minimal', 0.45, 0.5),
  login('token-exchange', 'node-oauth', 0.9),
  login('token-exchange', 'oidc-provider', 1.2),
  between('token-exchange', 'gateway-redis', 'gateway', 0.65),
  login('refresh', 'minimal', 0.45, 0.55),
]

/** The targets whose both sides were measured. @param node the version that the servers ran on, e.g. `v20.20.2`. */
export function judge(summaries: readonly Summary[], node = process.version): Verdict[] {
  return targets
    .map((target) => onNode(target, node))
    .flatMap((target) => {
      const summary = summaries.find(({ name }) => name === target.caseName)
      const measured = summary && measuredOf(summary, target)
      if (summary === undefined || measured === undefined) return []
      const { atLeast = 0, atMost = Number.POSITIVE_INFINITY } = target
      const isMet = measured >= atLeast && measured <= atMost
      const outcome = isDisturbed(summary, [target.name, target.against])
        ? 'disturbed'
        : isMet
          ? 'met'
          : 'missed'
      return [{ ...target, measured, outcome }]
    })
}

function onNode({ atLeastOnNode24, ...target }: Target, node: string): Target {
  const isNew = Number(node.slice(1).split('.', 1)[0]) >= 24
  return isNew && atLeastOnNode24 !== undefined ? { ...target, atLeast: atLeastOnNode24 } : target
}

function measuredOf(summary: Summary, { name, against, of }: Target): number | undefined {
  const row = summary.rows.find((one) => one.name === name)
  const other = summary.rows.find((one) => one.name === against)
  if (of === 'idle-memory') return reckon(row?.idleMegabytes, other?.idleMegabytes, (a, b) => a / b)
  if (of === 'cpu-seconds')
    return reckon(row?.cpuMicroseconds?.median, other?.cpuMicroseconds?.median, (a, b) => (a - b) / 1e6)
  if (against !== 'idle') return ratioBetween(summary, name, against)
  return row?.peakMegabytes === undefined ? undefined : row.peakMegabytes - (row.idleMegabytes ?? 0)
}

function reckon(
  a: number | undefined,
  b: number | undefined,
  by: (a: number, b: number) => number,
): number | undefined {
  return a === undefined || b === undefined ? undefined : by(a, b)
}

/** Of two lines to each other, by way of their common base, each at its own moments. */
export function ratioBetween({ rows, base }: Summary, name: string, against: string): number | undefined {
  const toBase = (one: string) => (one === base ? 1 : rows.find((row) => row.name === one)?.ratio?.median)
  const a = toBase(name)
  const b = toBase(against)
  return a === undefined || b === undefined ? undefined : a / b
}
