import type { Reason } from '../oauth/errors.ts'

/** Why a grant ended. */
export type EndReason =
  | 'revoked'
  | 'administrator'
  | 'provider_logout'
  | 'client_removed'
  | 'code_replayed'
  | 'refresh_reused'
  | 'provider_refused_grant'
  | 'provider_subject_mismatch'
  | 'authorization_failed'
  | 'code_mismatch'
  | 'exchange_failed'
  | 'login_denied'
  | 'login_undecided'

/** Where lines of the log go: any logger of Fastify's is one. */
export interface AuditLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  /** What is in each of its lines anyway. pino has it. */
  bindings?(): object
}

/** What an event tells of its request: any `FastifyRequest` is one. */
export interface AuditedRequest {
  readonly id: string
  /** Asked only when there is something to record. */
  readonly ip: string
  readonly log: AuditLog
}

/** The grant that an event is about: any stored one is one. `subject` once it is known. */
export interface AuditedGrant {
  readonly id: string
  readonly clientId: string
  /** Issuer of its provider. */
  readonly provider?: string
  readonly subject?: string
}
type AuditedSession = AuditedGrant & { readonly subject: string }

/**
 * The audit trail's vocabulary, and what each event tells besides its time and its request (requirements J-04). What is
 * optional is not always known.
 */
export interface AuditFacts {
  'authorize.refused': { readonly reason: Reason; readonly clientId?: string | undefined }
  'callback.refused': { readonly grant: AuditedGrant; readonly reason?: Reason }
  'callback.browser_mismatch': { readonly grant: AuditedGrant; readonly reason: Reason }
  'callback.iss_mismatch': { readonly grant: AuditedGrant; readonly reason: Reason }
  'code.duplicate': { readonly grant: AuditedGrant; readonly reason?: Reason }
  'code.replay': { readonly grant: AuditedSession; readonly reason: Reason }
  'code.mismatch': { readonly grant: AuditedGrant; readonly reason: Reason }
  'code.verifier_mismatch': { readonly grant: AuditedGrant; readonly reason: Reason }
  'refresh.reuse': { readonly grant: AuditedSession; readonly reason: Reason }
  'refresh.key_mismatch': { readonly grant: AuditedSession; readonly reason: Reason }
  'login.denied': { readonly grant: AuditedGrant; readonly reason: Reason }
  'session.activated': { readonly grant: AuditedSession }
  'session.refreshed': { readonly grant: AuditedSession }
  /** Before its activation a session has no subject. */
  'session.ended': { readonly grant: AuditedGrant; readonly reason: EndReason }
  'session.unreadable': { readonly grant?: AuditedSession; readonly reason: Reason }
  'client.auth_failed': { readonly reason: Reason }
  /** The session, where it lacked nothing but a scope or a stronger login. */
  'forward.denied': { readonly grant?: AuditedSession | undefined; readonly reason: Reason }
  'store.unavailable': { readonly grant?: AuditedGrant; readonly reason?: Reason }
  'provider.error': { readonly grant: AuditedGrant; readonly reason?: Reason | undefined }
}
export type AuditEventName = keyof AuditFacts

/** What may be in any event. */
interface AuditContext {
  /** ISO 8601. */
  readonly time: string
  readonly requestId?: string
  readonly address?: string
  readonly reason?: Reason | EndReason | undefined
  readonly clientId?: string | undefined
  readonly grantId?: string
  readonly grant?: string
  /** Issuer of the provider; a subject is unique there (OIDC Core §2). Not in the log. */
  readonly issuer?: string
  readonly subject?: string
}

/** What an event tells of its grant. */
interface TellsGrant {
  readonly clientId: string
  /** For `endSession`; not in the log. */
  readonly grantId: string
  /** Joins the lines of the grant in the log, and opens nothing. */
  readonly grant: string
}
type Told<Grant> = [Grant] extends [AuditedSession]
  ? TellsGrant & { /** `sub` at the provider. */ readonly subject: string }
  : TellsGrant & { readonly subject?: string }

type ToldOf<Facts> = Omit<Facts, 'grant'> &
  (Facts extends { readonly grant: infer Grant }
    ? Told<Grant>
    : Facts extends { readonly grant?: infer Grant }
      ? Partial<Told<NonNullable<Grant>>>
      : unknown)

/** The event of that name. */
export type AuditEventOf<Name extends AuditEventName> = AuditContext &
  ToldOf<AuditFacts[Name]> & { readonly event: Name }

/** One line of the audit trail: a union by `event`. Holds no credential. */
export type AuditEvent = { [Name in AuditEventName]: AuditEventOf<Name> }[AuditEventName]

/**
 * Those who listen to the audit trail. Nobody but `Audit` can add to it. A listener that throws, or rejects, is the
 * listener's bug: it fails no request and ends no process. What it returns counts only if it is a promise that rejects.
 */
export interface AuditEvents {
  on<Name extends AuditEventName>(name: Name, listener: (event: AuditEventOf<Name>) => unknown): AuditEvents
  /** Hears every event. */
  on(name: '*', listener: (event: AuditEvent) => unknown): AuditEvents
  off<Name extends AuditEventName>(name: Name, listener: (event: AuditEventOf<Name>) => unknown): AuditEvents
  off(name: '*', listener: (event: AuditEvent) => unknown): AuditEvents
}
