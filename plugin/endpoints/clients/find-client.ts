import type { AuditLog } from '../../grant/audit-events.ts'
import {
  documentUrl,
  isAllowedHost,
  knownClient,
  type RegisteredClient,
  type UnregisteredClient,
  unregisteredClient,
  unregisteredKind,
} from '../../oauth/client.ts'
import { OAuthError } from '../../oauth/errors.ts'
import type { ResolvedOptions } from '../../options/resolved.ts'
import { createDocumentFetch, type FetchDocument } from './document-fetch.ts'
import { Documents } from './documents.ts'
import { Registrations } from './registrations.ts'

/**
 * How a client is found, and the only place that looks for one that nobody registered.
 *
 * - `find`: all of it, its redirect URIs too, at the endpoints where a login begins. A registered client is found at
 *   once; of another, its own description is fetched, or what it has registered is read.
 * - `named`: what its name and the configuration tell, at once and for all of them, wherever a grant decides: at the token
 *   and revocation endpoints, at the callback, for a session. A description that has gone away ends no session.
 */
export class Clients {
  readonly #options: Pick<ResolvedOptions, 'clients' | 'agents'>
  readonly #documents: Documents
  /** Undefined: nobody may register. */
  readonly registrations: Registrations | undefined

  constructor(
    options: Pick<ResolvedOptions, 'clients' | 'agents' | 'store'>,
    log: AuditLog,
    fetch: FetchDocument = createDocumentFetch(options.agents),
  ) {
    const { agents, store } = options
    this.#options = options
    this.#documents = new Documents(fetch, () => store.now(), log)
    this.registrations = agents.registration ? new Registrations(store, agents.registration) : undefined
  }

  /** @returns undefined for a name that means nobody here. */
  named(clientId: string): RegisteredClient | undefined {
    return knownClient(this.#options, clientId)
  }

  /**
   * @returns at once whom the configuration has; undefined for a name that means nobody here.
   * @throws OAuthError `client_document_*`. @throws StoreError
   */
  find(clientId: string): RegisteredClient | undefined | Promise<RegisteredClient | undefined> {
    return this.#options.clients.get(clientId) ?? this.#findUnregistered(clientId)
  }

  #findUnregistered(clientId: string): undefined | Promise<RegisteredClient | undefined> {
    const { agents } = this.#options
    const kind = unregisteredKind(clientId)
    if (kind === 'document' && agents.metadataDocuments) return this.#describe(clientId)
    if (kind === 'registration' && this.registrations) return this.#readRegistration(clientId)
    return undefined
  }

  async #describe(clientId: string): Promise<RegisteredClient> {
    const { agents } = this.#options
    const url = documentUrl(clientId)
    if (url === null || !isAllowedHost(agents, url)) throw new OAuthError('client_document_address')
    const { redirectUris } = await this.#documents.read(clientId)
    return unregisteredClient(agents, { kind: 'document', clientId, label: url.host, redirectUris })
  }

  async #readRegistration(clientId: string): Promise<RegisteredClient | undefined> {
    const found = await this.registrations!.read(clientId)
    if (!found) return undefined
    const { name: label, redirectUris } = found
    return unregisteredClient(this.#options.agents, { kind: 'registration', clientId, label, redirectUris })
  }

  /** True for an app that has registered itself, and is not registered any more. @throws StoreError */
  async isGone(client: UnregisteredClient): Promise<boolean> {
    if (client.unregistered !== 'registration') return false
    return (await this.registrations?.read(client.clientId)) === null
  }

  /** The app has been used: one that has registered itself lives on. Nobody waits for it, and nothing depends on it. */
  used(client: UnregisteredClient): void {
    if (client.unregistered === 'registration')
      void this.registrations?.extend(client.clientId).catch(() => {})
  }
}
