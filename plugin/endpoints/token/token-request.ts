import type { AuditEventName, AuditedRequest, AuditFacts, AuditLog } from '../../grant/audit-events.ts'
import type { RegisteredClient } from '../../oauth/client.ts'
import { endGrantByHandle, type PresentedHandle } from '../end-grant-by-handle.ts'
import type { Services } from '../services.ts'

/** What a token request is made of: any `FastifyRequest` is one. */
interface ReceivedRequest extends AuditedRequest {
  readonly raw: { readonly socket?: { readonly destroyed?: boolean } | null }
}

/** A token request whose client has been identified: what it works with, and where it is recorded (RFC 6749 §3.2). */
export class TokenRequest {
  readonly services: Services
  readonly client: RegisteredClient
  /** Thumbprint of the key that the app has proved to hold (RFC 9449 §5); undefined: none. */
  readonly jkt: string | undefined
  readonly #request: ReceivedRequest

  constructor(services: Services, client: RegisteredClient, request: ReceivedRequest, jkt?: string) {
    this.services = services
    this.client = client
    this.jkt = jkt
    this.#request = request
  }

  /** To which key a refresh token is bound: that of a confidential client is bound by its secret (RFC 9449 §5). */
  get refreshJkt(): string | undefined {
    return this.client.authentication === 'none' ? this.jkt : undefined
  }

  /** The log of this request. */
  get log(): AuditLog {
    return this.#request.log
  }

  /** True once nobody can get the response any more: the connection is gone. */
  get isAbandoned(): boolean {
    return this.#request.raw.socket?.destroyed === true
  }

  /** Records an event of one of the client's grants. @see Audit.record */
  record<Name extends AuditEventName>(event: Name, about: AuditFacts[Name]): void {
    this.services.audit.record(event, { ...about, request: this.#request })
  }

  /** Ends one of the client's grants. @see endGrantByHandle @throws StoreError */
  endGrant(presented: PresentedHandle, reason: 'code_replayed' | 'refresh_reused'): Promise<void> {
    return endGrantByHandle(this.services, this.#request, presented, reason)
  }
}
