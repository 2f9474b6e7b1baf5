import { EventEmitter } from 'node:events'
import { loggedClientId } from '../oauth/client.ts'
import { helpFor } from '../oauth/errors.ts'
import type { ResolvedOptions } from '../options/resolved.ts'
import { deriveKey, expandKey } from '../secrets/hkdf.ts'
import type {
  AuditEvent,
  AuditEventName,
  AuditEvents,
  AuditedGrant,
  AuditedRequest,
  AuditFacts,
  AuditLog,
} from './audit-events.ts'
import { correlationId } from './indexes.ts'

/** Requests that an event tells of. */
const audited = new WeakSet<AuditedRequest>()

/** True for a request that an event tells of: its line says who, what, and from where. */
export function isAudited(request: AuditedRequest): boolean {
  return audited.has(request)
}

type Listener = (event: AuditEvent) => unknown
type LoggedSubject = (subject: string, issuer: string | undefined) => string | undefined

/** Records one event: to the log of the request, if there is one, and to the listeners. */
export class Audit {
  readonly events: AuditEvents = {
    on: (name: string, listener: (event: never) => unknown) => {
      this.#emitter.on(name, listener as Listener)
      return this.events
    },
    off: (name: string, listener: (event: never) => unknown) => {
      this.#emitter.off(name, listener as Listener)
      return this.events
    },
  }
  /** How a log line names a subject; undefined: not at all. */
  readonly loggedSubject: LoggedSubject
  readonly #emitter = new EventEmitter()
  readonly #log: AuditLog

  constructor(log: AuditLog, loggedSubject: LoggedSubject = () => undefined) {
    this.#log = log
    this.loggedSubject = loggedSubject
  }

  record<Name extends AuditEventName>(
    event: Name,
    about: AuditFacts[Name] & { readonly request?: AuditedRequest | undefined },
  ): void {
    const { request, grant, reason, clientId } = about as Partial<AuditFacts['forward.denied']> &
      Partial<AuditFacts['authorize.refused']> & { readonly request?: AuditedRequest }
    const told = {
      ...(reason && { reason }),
      ...(clientId !== undefined && { clientId }),
      ...(grant && { clientId: grant.clientId, grant: correlationId(grant.id) }),
    }
    if (request) audited.add(request)
    this.#write(event, told, grant, request)
    if (!this.#isHeard(event)) return
    const context = request && { requestId: request.id, address: request.ip }
    const { id: grantId, provider, subject } = grant ?? {}
    this.#emit({
      event,
      time: new Date().toISOString(),
      ...told,
      ...(grantId !== undefined && { grantId }),
      ...(provider !== undefined && { issuer: provider }),
      ...(subject !== undefined && { subject }),
      ...context,
    } as AuditEvent)
  }

  #write(
    event: AuditEventName,
    told: { readonly reason?: string | undefined; readonly clientId?: string | undefined },
    grant?: AuditedGrant,
    request?: AuditedRequest,
  ): void {
    const log = request?.log ?? this.#log
    const subject =
      grant?.subject === undefined ? undefined : this.loggedSubject(grant.subject, grant.provider)
    const line = {
      event,
      ...told,
      ...(told.clientId !== undefined && { clientId: loggedClientId(told.clientId) }),
      ...(subject !== undefined && { subject }),
      ...(request && !saysRequestId(log) && { requestId: request.id }),
      ...(request && { address: request.ip }),
    }
    if (!ALARMS.has(event)) log.info(line, event)
    else log.warn({ ...line, help: helpFor(told.reason) }, event)
  }

  #isHeard(name: AuditEventName): boolean {
    return this.#emitter.listenerCount(name) > 0 || this.#emitter.listenerCount('*') > 0
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

/** By the logger that the requests' own are children of: to look into a child takes as long as to write its line. */
const parentsOfNamed = new WeakMap<object, boolean>()

/** A request's own logger may say it already, and JSON with one name twice is read differently by everybody. */
function saysRequestId(log: AuditLog): boolean {
  if (!log.bindings) return false
  const parent = Object.getPrototypeOf(log) as object
  const known = parentsOfNamed.get(parent)
  if (known !== undefined) return known
  const says = 'requestId' in log.bindings()
  // Every plain object is a child of this one.
  if (parent !== Object.prototype) parentsOfNamed.set(parent, says)
  return says
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
  'refresh.key_mismatch',
  'login.denied',
  'session.unreadable',
  'client.auth_failed',
  'store.unavailable',
  'provider.error',
])

/**
 * How log lines name a subject: by 8 hexadecimal digits of an HMAC under a key of ours, because the hash of an address
 * or a number could be found by trying; or as it is; or not at all (J-04).
 */
export function createLoggedSubject({
  log,
  secrets,
  providers,
}: Pick<ResolvedOptions, 'log' | 'secrets' | 'providers'>): LoggedSubject {
  if (log.subject === 'none') return () => undefined
  if (log.subject === 'plain') return (subject) => subject.slice(0, SUBJECT_MAX)
  const key = deriveKey(secrets[0]!, Buffer.alloc(0), Buffer.from('fastify-pkce subject in logs'))
  // One name at two providers is two people (M-05).
  const named = (subject: string, issuer?: string) =>
    providers.length === 1 ? subject : JSON.stringify([issuer, subject])
  return (subject, issuer) =>
    expandKey(key, Buffer.from(named(subject, issuer)))
      .toString('hex')
      .slice(0, 8)
}

const SUBJECT_MAX = 256
