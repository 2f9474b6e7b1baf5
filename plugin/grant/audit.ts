import { hash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { Reason } from '../oauth/errors.ts'
import type { EndReason } from './transitions.ts'

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
  | 'session.unreadable'
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

/** What it returns counts only if it is a promise that rejects. */
type Listener = (event: AuditEvent) => unknown

/**
 * Those who listen to the audit trail. Nobody but `Audit` can add to it. A listener that throws, or rejects, is the
 * listener's bug: it fails no request and ends no process.
 */
export interface AuditEvents {
  /** `'*'` hears every event. */
  on(name: AuditEventName | '*', listener: Listener): AuditEvents
  off(name: AuditEventName | '*', listener: Listener): AuditEvents
}

/** Where lines of the log go: any logger of Fastify's is one. */
export interface AuditLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** What an event tells of its request: any `FastifyRequest` is one. */
export interface AuditedRequest {
  readonly id: string
  /** Asked only when there is something to record. */
  readonly ip: string
  readonly log: AuditLog
}

/** Records one event: to the log of the request, if there is one, and to the listeners. */
export class Audit {
  readonly events: AuditEvents = {
    on: (name, listener) => {
      this.#emitter.on(name, listener)
      return this.events
    },
    off: (name, listener) => {
      this.#emitter.off(name, listener)
      return this.events
    },
  }
  readonly #emitter = new EventEmitter()
  readonly #log: AuditLog

  constructor(log: AuditLog) {
    this.#log = log
  }

  record(
    event: AuditEventName,
    about: {
      request?: AuditedRequest | undefined
      grantId?: string | undefined
      clientId?: string | undefined
      reason?: Reason | EndReason | undefined
    },
  ): void {
    const line: AuditEvent = {
      event,
      time: new Date().toISOString(),
      ...(about.reason && { reason: about.reason }),
      ...(about.clientId !== undefined && { clientId: about.clientId }),
      ...(about.grantId && { grant: correlationId(about.grantId) }),
      ...(about.request && { requestId: about.request.id, address: about.request.ip }),
    }
    const log = about.request?.log ?? this.#log
    // The log has its own time, and would otherwise name the field twice.
    const { time: _, ...fields } = line
    log[ALARMS.has(event) ? 'warn' : 'info'](fields, event)
    this.#emit(line)
  }

  #emit(event: AuditEvent): void {
    for (const name of [event.event, '*']) {
      for (const listener of this.#emitter.listeners(name)) {
        void call(listener as Listener, event).catch((error: unknown) => {
          const said = error instanceof Error ? error.message : 'not an Error'
          process.emitWarning(`a listener of ${name} threw: ${said}`, 'FastifyPkceWarning')
        })
      }
    }
  }
}

/** At once; what the listener throws becomes a rejection, as what it rejects with is one. */
async function call(listener: Listener, event: AuditEvent): Promise<void> {
  await listener(event)
}

/** What somebody should look at: an attack, a broken app, or something that is down. */
const ALARMS = new Set<AuditEventName>([
  'callback.browser_mismatch',
  'callback.iss_mismatch',
  'code.replay',
  'code.mismatch',
  'code.verifier_mismatch',
  'refresh.reuse',
  'session.unreadable',
  'client.auth_failed',
  'store.unavailable',
  'provider.error',
])

/** Eight characters that join the lines of one grant and open nothing (J-01). */
export function correlationId(grantId: string): string {
  return hash('sha256', `correlation\0${grantId}`, 'hex').slice(0, 8)
}
