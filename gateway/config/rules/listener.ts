import cluster from 'node:cluster'
import { isIP, isIPv4 } from 'node:net'
import { availableParallelism } from 'node:os'
import type { ConfigProblem } from '../../../plugin/index.ts'
import type { GatewayConfig, GatewayInput } from '../schemas/config.ts'

const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[1-9][0-9]{0,4})?$/i
const ANY_ADDRESS = ['0.0.0.0', '::']

/** Workers are processes of their own: they share what is in the store, and nothing else (requirements G-13). */
export function workersProblems({
  workers,
  store,
}: Pick<Required<GatewayInput>, 'workers' | 'store'>): ConfigProblem[] {
  if (workers === 1) return []
  const problem = cluster.isWorker
    ? 'must be 1: this process is a cluster worker itself'
    : (store.type ?? 'memory') === 'memory'
      ? 'must be 1 with the memory store, which no other process can see; or set store.type to redis or postgres'
      : undefined
  return problem ? [{ path: ['workers'], problem }] : []
}

/** As many as there are cores that this process may use, or as configured. */
export function workerCount(workers: number | 'auto'): number {
  return workers === 'auto' ? availableParallelism() : workers
}

/** An event loop that is idle is late by a few milliseconds, and on a busy machine by some more. */
const EVENT_LOOP_DELAY_MIN_MS = 50

/** What no listener could serve with. */
export function overloadProblems({ listen }: Pick<GatewayConfig, 'listen'>): ConfigProblem[] {
  const { eventLoopDelayMs } = listen.overload
  if (eventLoopDelayMs === 0 || eventLoopDelayMs >= EVENT_LOOP_DELAY_MIN_MS) return []
  const problem = `must be 0 or at least ${EVENT_LOOP_DELAY_MIN_MS}: an event loop without much to do can be as late`
  return [{ path: ['listen', 'overload', 'eventLoopDelayMs'], problem }]
}

/** With the default that depends on another key. */
export function completeOverload({
  overload,
  maxConnections,
}: GatewayConfig['listen']): GatewayConfig['listen']['overload'] {
  return { ...overload, requestsInFlight: overload.requestsInFlight ?? maxConnections }
}

/** Two listeners cannot share an address; the admin listener would be public if it could. */
export function listenerProblems({
  listen,
  admin,
}: Pick<GatewayConfig, 'listen' | 'admin'>): ConfigProblem[] {
  const samePort = listen.port === admin.port && listen.port !== 0
  const sameHost =
    listen.host === admin.host || ANY_ADDRESS.includes(listen.host) || ANY_ADDRESS.includes(admin.host)
  return samePort && sameHost ? [{ path: ['admin', 'port'], problem: "must differ from listen's" }] : []
}

/** RFC 6750 §2.1: what can stand behind `Bearer`. */
const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]+=*$/
/** Shorter ones can be guessed. */
const TOKEN_LENGTH_MIN = 16

/** What is wrong with the token of the Admin API. */
export function adminTokenProblem(token: string): string | undefined {
  const remedy = 'put one into the file that `pkce-gateway secret` prints'
  if (!BEARER_TOKEN.test(token)) return `holds characters that no bearer token may have: ${remedy}`
  return token.length < TOKEN_LENGTH_MIN
    ? `has fewer than ${TOKEN_LENGTH_MIN} characters and can be guessed: ${remedy}`
    : undefined
}

/**
 * Proxies are named by address: a name, a hop count or `true` lets anybody write the client's address
 * (requirements J-08).
 */
export function trustProxyProblems(entries: readonly string[]): ConfigProblem[] {
  return entries.flatMap((entry, index) => {
    const problem = proxyProblem(entry)
    return problem ? [{ path: ['trustProxy', index], problem }] : []
  })
}

/** Without a proxy that is trusted nobody could ask (requirements Q-10). */
export function forwardAuthProblems({
  forwardAuth,
  trustProxy,
}: Pick<GatewayConfig, 'forwardAuth' | 'trustProxy'>): ConfigProblem[] {
  if (!forwardAuth || trustProxy.length > 0) return []
  return [{ path: ['forwardAuth'], problem: 'needs trustProxy: the addresses of the proxies that may ask' }]
}

function proxyProblem(entry: string): string | undefined {
  const [address = '', length, ...rest] = entry.split('/')
  const bits = isIPv4(address) ? 32 : 128
  const wellFormed =
    isIP(address) !== 0 &&
    !address.includes('%') &&
    rest.length === 0 &&
    (length === undefined || (/^(0|[1-9][0-9]{0,2})$/.test(length) && Number(length) <= bits))
  if (!wellFormed) return 'must be an IP address or a CIDR range; names and hop counts are refused'
  return length === '0' ? 'trusts every address there is' : undefined
}

/** True for a value of the `Host` field: a host and perhaps a port. */
export function isHost(host: string): boolean {
  return HOST.test(host) && URL.canParse(`http://${host}`)
}

/** Values of the `Host` field. */
export function allowedHostProblems(hosts: readonly string[]): ConfigProblem[] {
  return hosts.flatMap((host, index) =>
    isHost(host) ? [] : [{ path: ['allowedHosts', index], problem: 'must be host or host:port' }],
  )
}
