import {
  type CallEnd,
  type LoginOutcome,
  type LoginStep,
  type ObservedCall,
  type Observer,
  type RefreshOutcome,
  unregisteredKind,
} from '../../../plugin/api/internal.ts'
import type { AuditEvent, Session, Store } from '../../../plugin/index.ts'
import { Durations } from '../../forward/exchange/durations.ts'
import { type ForwardingMetrics, RouteCounters } from '../../forward/exchange/route-counters.ts'
import type { StoreObserver } from './observed-store.ts'
import { histograms, tallies } from './series.ts'

/** A session that is older has been used before, or was counted by nobody. */
const FIRST_CALL_MS = 600_000
/** Logins of which is known that they have been used: those of the last minutes. */
const USED_MAX = 10_000

/** Of the process, looked at when it is asked. */
export interface Gauges {
  connections(): Promise<number>
  requestsInFlight(): number
}

/**
 * What this process counts, as plain numbers: for as long as it lives, whatever is reloaded meanwhile. Labels are names
 * out of the configuration or out of this package, never what a caller chooses (requirements Q-04, J-09).
 */
export class Metrics implements Observer, ForwardingMetrics, StoreObserver {
  readonly sessionCache = { hits: 0, misses: 0 }
  readonly routes = new Map<string, RouteCounters>()
  readonly logins = tallies('client', 'step', 'outcome')
  readonly refreshes = tallies('client', 'outcome')
  readonly events = tallies('event', 'client')
  readonly refusals = tallies('reason')
  readonly providerCalls = tallies('issuer', 'endpoint', 'outcome')
  readonly providerDurations = histograms('issuer', 'endpoint')
  readonly breakers = tallies('issuer', 'endpoint')
  readonly storeOperations = tallies('operation', 'outcome')
  readonly storeDurations = histograms('operation')
  readonly notificationDurations = new Durations()
  notificationGaps = 0
  /** Undefined: nobody listens. */
  areNotificationsUp: boolean | undefined
  connectionsDropped = 0
  readonly reloads = tallies('outcome')
  isLastReloadSuccessful = true
  /** Undefined in a process that reloads nothing by itself. */
  lastReloadAt: Date | undefined
  /** Undefined in a process that serves nothing. */
  gauges: Gauges | undefined
  readonly #clients = new Set<string>()
  /** Sessions whose login was just now. */
  readonly #young = new WeakSet<object>()
  readonly #used = new Set<string>()
  #store: Pick<Store, 'name' | 'reserve'> | undefined

  /** Clients that get a series of their own, from now on. */
  know(clients: readonly { readonly clientId: string }[]): void {
    for (const { clientId } of clients) this.#clients.add(clientId)
  }

  /** Where instances agree on which call was the first of a login. */
  agreeBy(store: Pick<Store, 'name' | 'reserve'>): void {
    this.#store = store
  }

  countersOf(route: string): RouteCounters {
    let counters = this.routes.get(route)
    if (counters === undefined) {
      counters = new RouteCounters()
      this.routes.set(route, counters)
    }
    return counters
  }

  refused(reason: string): void {
    this.refusals.of(reason).value++
  }

  login(step: LoginStep, outcome: LoginOutcome, clientId: string | undefined): void {
    this.logins.of(this.#client(clientId), step, outcome).value++
  }

  refresh(outcome: RefreshOutcome, clientId: string): void {
    this.refreshes.of(this.#client(clientId), outcome).value++
  }

  recorded({ event, clientId }: Pick<AuditEvent, 'event' | 'clientId'>): void {
    this.events.of(event, this.#client(clientId)).value++
  }

  sessionRead(session: object, ageMs: number): void {
    if (ageMs < FIRST_CALL_MS) this.#young.add(session)
  }

  firstCall(session: Session): ((status: number) => void) | undefined {
    const { grantId, clientId } = session
    if (!this.#young.delete(session) || this.#used.has(grantId)) return undefined
    this.#used.add(grantId)
    if (this.#used.size > USED_MAX) this.#used.delete(this.#used.values().next().value!)
    const isFirst = this.#isFirst(grantId)
    return (status) => {
      const outcome =
        status >= 100 && status < 400 ? 'ok' : status >= 400 && status < 500 ? 'refused' : 'failed'
      void isFirst.then((first) => first && this.login('first_call', outcome, clientId))
    }
  }

  providerCall({ issuer, endpoint }: ObservedCall): CallEnd {
    const from = performance.now()
    return (outcome) => {
      this.providerCalls.of(issuer, endpoint, outcome).value++
      if (outcome !== 'not_made') this.providerDurations.of(issuer, endpoint).add(performance.now() - from)
    }
  }

  breaker({ issuer, endpoint }: Pick<ObservedCall, 'issuer' | 'endpoint'>, isOpen: boolean): void {
    this.breakers.of(issuer, endpoint).value = isOpen ? 1 : 0
  }

  storeCall(operation: string): (error?: unknown) => void {
    const from = performance.now()
    return (error) => {
      this.storeOperations.of(operation, error === undefined ? 'ok' : 'error').value++
      this.storeDurations.of(operation).add(performance.now() - from)
    }
  }

  notified(milliseconds: number): void {
    this.notificationDurations.add(milliseconds)
  }

  notifications(areUp: boolean): void {
    if (!areUp) this.notificationGaps++
    this.areNotificationsUp = areUp
  }

  reloaded(isSuccessful: boolean): void {
    this.reloads.of(isSuccessful ? 'ok' : 'refused').value++
    this.isLastReloadSuccessful = isSuccessful
    if (isSuccessful) this.lastReloadAt = new Date()
  }

  /** A store in memory is this process's alone. */
  async #isFirst(grantId: string): Promise<boolean> {
    if (this.#store === undefined || this.#store.name === 'memory') return true
    return this.#store.reserve(`first-call:${grantId}`, FIRST_CALL_MS).catch(() => false)
  }

  #client(clientId: string | undefined): string {
    if (clientId === undefined) return 'unknown'
    if (this.#clients.has(clientId)) return clientId
    return unregisteredKind(clientId) === undefined ? 'unknown' : 'unregistered'
  }
}
