import { within } from '../../../plugin/api/internal.ts'
import { StoreError } from '../../../plugin/index.ts'
import { createStore, type GatewayStore } from '../store.ts'
import type { FindingCode } from './catalogue.ts'
import { type Finding, finding } from './finding.ts'
import { isLoopback } from './node.ts'
import type { Subject } from './subject.ts'

const PART = 'store'
/** A login asks the store about ten times, one after another. */
const SLOW_MS = 50
const LOOK_MS = 7000
const CLOSE_MS = 1000
const LEAST_POSTGRES = 13
const ROUND_TRIPS = 5

/** By what the store says of its failure: each is a word of its own, or the code behind it. */
const FAILURES: readonly (readonly [RegExp, FindingCode])[] = [
  [/LISTEN connection|PgBouncer/, 'store_deaf'],
  [/\((?:NOPERM|42501)\)|lacks a permission/, 'store_permission'],
  [/\((?:WRONGPASS|NOAUTH|28P01|28000)\)/, 'store_credentials'],
  [/read replica|read-only/, 'store_read_only'],
  [/the tables are/, 'store_tables'],
  [/or newer is needed/, 'store_old'],
  [/certificate|TLS/, 'store_untrusted'],
  [/\((?:E[A-Z_]+)\)|no answer|not connected|the connection|Sentinel answers/, 'store_unreachable'],
]

/** By what the store warns of at the start. */
const WARNINGS: readonly (readonly [RegExp, FindingCode])[] = [
  [/maxmemory-policy is not/, 'store_evicts'],
  [/appendonly is off/, 'store_forgets'],
]

/** The store: as the start looks at it, and then a write, its round trip, and the channel of changes. */
export async function diagnoseStore({ loaded }: Subject): Promise<Finding[]> {
  const { store: config, plugin } = loaded.config
  if (config.type === 'memory') {
    const code = isLoopback(plugin.publicUrl) ? 'store_memory' : 'store_memory_public'
    return [finding(PART, code, { slots: { maxRecords: config.maxRecords } })]
  }
  const store = createStore(config)
  try {
    const warnings = (await within(LOOK_MS, store.prepare())).map(ofWarning)
    const listensAt = config.type === 'postgres' && config.listenUrl !== undefined ? 'listenUrl' : 'url'
    return [...warnings, ...(await ofUse(store, listensAt))]
  } catch (error) {
    return [ofFailure(error)]
  } finally {
    // One that hangs is left to the end of the process.
    await within(CLOSE_MS, store.close()).catch(() => {})
  }
}

/** A write and the channel may fail for two reasons, or for one, which is told once. */
async function ofUse({ store, version }: GatewayStore, listensAt: string): Promise<Finding[]> {
  const server = (await version?.()) ?? 'The server'
  const old = ofVersion(server)
  const found = [await ofWrite(store, server), await ofChannel(store, listensAt)].flat()
  const told = new Set<string>()
  return [...old, ...found.filter(({ found }) => !told.has(found) && told.add(found))]
}

async function ofWrite(store: GatewayStore['store'], server: string): Promise<Finding[]> {
  try {
    await store.check()
    const ms = await roundTripMs(store)
    return [finding(PART, ms > SLOW_MS ? 'store_slow' : 'store_answers', { slots: { server, ms } })]
  } catch (error) {
    return [ofFailure(error)]
  }
}

/** @param listensAt the key of `store` that leads to where changes are heard. */
async function ofChannel(store: GatewayStore['store'], listensAt: string): Promise<Finding[]> {
  try {
    const end = await within(LOOK_MS, store.watch({ onChange() {}, onGap() {}, onResume() {} }))
    end()
    return [finding(PART, 'store_notifies')]
  } catch (error) {
    const { advice, ...failure } = ofFailure(error)
    const there = advice?.replaceAll(/store\.url(?=File\b|\b)/g, `store.${listensAt}`)
    return [{ ...failure, ...(there !== undefined && { advice: there }) }]
  }
}

/** The median of a few reads, in milliseconds with one digit. */
async function roundTripMs(store: GatewayStore['store']): Promise<number> {
  const times: number[] = []
  for (let n = 0; n < ROUND_TRIPS; n++) {
    const startedAt = performance.now()
    await store.read('doctor')
    times.push(performance.now() - startedAt)
  }
  const median = times.toSorted((a, b) => a - b)[Math.floor(ROUND_TRIPS / 2)]!
  return Math.round(median * 10) / 10
}

/** The start refuses a Redis that is too old, and asks PostgreSQL for no version. */
export function ofVersion(server: string): Finding[] {
  const [, major] = /^PostgreSQL (\d+)/.exec(server) ?? []
  if (major === undefined || Number(major) >= LEAST_POSTGRES) return []
  return [finding(PART, 'store_old', { slots: { server, least: LEAST_POSTGRES } })]
}

function ofWarning(warning: string): Finding {
  const [, code] = WARNINGS.find(([pattern]) => pattern.test(warning)) ?? []
  if (code) return finding(PART, code)
  const found = warning.replace(/^\w+: (.)/, (_, first: string) => first.toUpperCase())
  return finding(PART, 'store_warning', { found: `${found}.` })
}

/** What a store says of its failure holds no address, credential or key (G-16). */
function ofFailure(error: unknown): Finding {
  if (!(error instanceof StoreError) && !(error instanceof DOMException)) throw error
  const reason = error.message.replace(/^\w+ store: \w+: /, '')
  const [, code = 'store_refused'] = FAILURES.find(([pattern]) => pattern.test(reason)) ?? []
  if (code !== 'store_old') return finding(PART, code, { slots: { reason } })
  const [, server = '', least = ''] = /the server is (\S+ \S+); (\S+) or newer/.exec(reason) ?? []
  return finding(PART, code, { slots: { server, least } })
}
