import type { Reason } from '../../oauth/errors.ts'

/** How far a login has come. */
export const LOGIN_STEPS = ['begun', 'returned', 'proved', 'redeemed', 'first_call'] as const
export type LoginStep = (typeof LOGIN_STEPS)[number]

/** `denied`: by the person, the provider's policy or `onLogin`. `refused`: by us. `failed`: something is down. */
export type LoginOutcome = 'ok' | 'denied' | 'refused' | 'failed'

/** What became of a refresh: `refused` is the app's fault or the end of the session, `failed` something that is down. */
export type RefreshOutcome = 'ok' | 'refused' | 'failed'

/** How one request to a provider ended. */
export type ProviderOutcome =
  | 'ok'
  /** 3xx or 4xx. */
  | 'refused'
  /** 5xx, 429, 408, or no answer in time. */
  | 'failed'
  /** No connection, so that nothing was sent. */
  | 'unreachable'
  /** An answer that cannot be read. */
  | 'invalid'
  /** Not made: the circuit breaker is open, or too many are under way. */
  | 'not_made'

/** Is told how a call has ended. @param status of the answer, if there was one. */
export type CallEnd = (outcome: ProviderOutcome, status?: number) => void

/** One request to a provider. */
export interface ObservedCall {
  readonly issuer: string
  readonly endpoint: string
  readonly method: 'GET' | 'POST'
  readonly url: URL
}

/** Joins what is done for one login, whose requests share no trace (requirements Q-05). */
export interface LoginTracing {
  /** The `traceparent` of the authorization request, to be kept in the grant; undefined: it is not traced. */
  begin(): string | undefined
  /** Does a later step of the login. @param trace what `begin` gave. */
  step<T>(trace: string | undefined, name: 'callback' | 'token', work: () => Promise<T>): Promise<T>
  /** A request has a session of that login. @param ageMs since its activation. */
  sessionRead(trace: string | undefined, ageMs: number): void
}

/**
 * Is told what the audit trail does not say, for metrics and traces (requirements ). It must not throw, and
 * gets no credential. Nobody outside of this package can give one.
 */
export interface Observer {
  /** Counted in place: on the path of every forwarded request. */
  readonly sessionCache: { hits: number; misses: number }
  /** Undefined: nothing is traced. */
  readonly loginTracing?: LoginTracing
  /** @param clientId of a registered client; undefined: nobody knows which. */
  login(step: LoginStep, outcome: LoginOutcome, clientId: string | undefined): void
  refresh(outcome: RefreshOutcome, clientId: string): void
  /** An endpoint has answered with an error of its own. */
  refused(reason: Reason): void
  /** A session was read from the store. @param ageMs since its activation. @param trace of its login. */
  sessionRead(session: object, ageMs: number, trace?: string): void
  /** A request to a provider is about to be sent. */
  providerCall(call: ObservedCall): CallEnd
  /** A circuit breaker has opened, or closed again. */
  breaker(call: Pick<ObservedCall, 'issuer' | 'endpoint'>, isOpen: boolean): void
}

const ignore = () => {}

/** The observer of who has none. */
export function noObserver(): Observer {
  return {
    sessionCache: { hits: 0, misses: 0 },
    login: ignore,
    refresh: ignore,
    refused: ignore,
    sessionRead: ignore,
    providerCall: () => ignore,
    breaker: ignore,
  }
}
