import { EventEmitter } from 'node:events'
import type { Reason } from './errors.ts'

/** The audit trail's vocabulary (requirements J-04). */
export type AuditEventName =
  | 'authorize.refused'
  | 'callback.refused'
  | 'callback.browser_mismatch'
  | 'callback.iss_mismatch'
  | 'code.duplicate'
  | 'code.replay'
  | 'code.mismatch'
  | 'code.verifier_mismatch'
  | 'refresh.reuse'
  | 'session.activated'
  | 'session.refreshed'
  | 'session.ended'
  | 'client.auth_failed'
  | 'forward.denied'
  | 'store.unavailable'
  | 'provider.error'

/** One line of the audit trail. Holds no credential: `grant` is a correlation id that opens nothing. */
export interface AuditEvent {
  readonly event: AuditEventName
  /** ISO 8601. */
  readonly time: string
  readonly reason?: Reason | EndReason
  readonly clientId?: string
  readonly grant?: string
  readonly requestId?: string
  readonly address?: string
}

/** Why a grant ended. */
export type EndReason =
  | 'revoked'
  | 'administrator'
  | 'code_replayed'
  | 'refresh_reused'
  | 'provider_refused_grant'
  | 'provider_subject_mismatch'
  | 'authorization_failed'
  | 'code_mismatch'
  | 'exchange_failed'
  | 'client_gone'

type Listener = (event: AuditEvent) => void

/** A typed, append-only channel. A listener that throws is the listener's bug and does not fail the request. */
export class AuditEvents {
  readonly #emitter = new EventEmitter()

  /** `'*'` hears every event. */
  on(name: AuditEventName | '*', listener: Listener): this {
    this.#emitter.on(name, listener)
    return this
  }

  off(name: AuditEventName | '*', listener: Listener): this {
    this.#emitter.off(name, listener)
    return this
  }

  emit(event: AuditEvent): void {
    for (const name of [event.event, '*']) {
      for (const listener of this.#emitter.listeners(name)) {
        try {
          listener(event)
        } catch (error) {
          process.emitWarning(`fastify-pkce: a listener of ${name} threw: ${(error as Error).message}`)
        }
      }
    }
  }
}
