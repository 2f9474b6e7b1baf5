import { noObserver, type Observer } from '../../../plugin/api/internal.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { observedStore, type StoreObserver } from '../metrics/observed-store.ts'
import type { GatewayStore } from '../store.ts'
import type { Tracing } from './tracing.ts'

/** Who is told of everything: what counts, what traces, or both. Undefined: nobody. */
export function observerOf(metrics: Metrics | undefined, tracing: Tracing | undefined): Observer | undefined {
  if (tracing === undefined) return metrics
  const { sessionCache, login, refresh, refused, sessionRead, breaker, providerCall } = told(metrics)
  return {
    ...{ sessionCache, login, refresh, refused, breaker },
    loginTracing: tracing.logins,
    sessionRead(session, ageMs, trace) {
      sessionRead(session, ageMs, trace)
      tracing.logins.sessionRead(trace, ageMs)
    },
    providerCall(call) {
      const ends = [providerCall(call), tracing.providerCall(call)]
      return (outcome, status) => {
        for (const end of ends) end(outcome, status)
      }
    },
  }
}

/** The same store, and somebody who is told what it does, if there is anybody. */
export function observed(
  { store, ...around }: GatewayStore,
  metrics: Metrics | undefined,
  tracing: Tracing | undefined,
): GatewayStore {
  const observer = storeObserverOf(store.name, metrics, tracing)
  metrics?.agreeBy(store)
  return { ...around, store: observer ? observedStore(store, observer) : store }
}

function storeObserverOf(
  store: string,
  metrics: Metrics | undefined,
  tracing: Tracing | undefined,
): StoreObserver | undefined {
  if (tracing === undefined) return metrics
  return {
    storeCall(operation) {
      const ends = [metrics?.storeCall(operation), tracing.storeCall(store, operation)]
      return (error) => {
        for (const end of ends) end?.(error)
      }
    },
    notified: (milliseconds) => metrics?.notified(milliseconds),
    notifications: (areUp) => metrics?.notifications(areUp),
  }
}

/** As functions that need no object. */
function told(metrics: Metrics | undefined): Observer {
  if (metrics === undefined) return noObserver()
  return {
    sessionCache: metrics.sessionCache,
    login: (...step) => metrics.login(...step),
    refresh: (...outcome) => metrics.refresh(...outcome),
    refused: (reason) => metrics.refused(reason),
    sessionRead: (session, ageMs) => metrics.sessionRead(session, ageMs),
    providerCall: (call) => metrics.providerCall(call),
    breaker: (...state) => metrics.breaker(...state),
  }
}
