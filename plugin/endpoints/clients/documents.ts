import type { AuditLog } from '../../grant/audit-events.ts'
import { documentUrl } from '../../oauth/client.ts'
import { OAuthError, type Reason } from '../../oauth/errors.ts'
import { causeOf } from '../../provider/transport/calls.ts'
import { type ClientMetadata, readClientMetadata } from './client-metadata.ts'
import type { FetchDocument, FetchedDocument } from './document-fetch.ts'

/** A description says for how long it may be kept, within these bounds. */
const FRESH_MIN_SECONDS = 60
const FRESH_MAX_SECONDS = 86_400
/** Of a description whose owner says nothing. */
const FRESH_DEFAULT_SECONDS = 300
/** What could not be used is not asked for again so soon, whoever names it how often. */
const REFUSED_SECONDS = 60
/** Descriptions and refusals that are kept; the one that was asked for longest ago goes first. */
const KEPT_MAX = 1000
/** At the same time: each may take five seconds, and nobody's server is to be asked by our hand as often as others like. */
const FETCHES_MAX = 32
const FETCHES_OF_HOST_MAX = 4

type DocumentReason = Extract<Reason, `client_document_${string}`>
type Found = { readonly metadata: ClientMetadata } | { readonly refused: DocumentReason }

const REASONS = {
  malformed: 'client_document_invalid',
  redirectUri: 'client_document_redirect_uri',
  method: 'client_document_method',
} as const

/**
 * The descriptions that apps give of themselves at the address which is their `client_id`
 * (draft-ietf-oauth-client-id-metadata-document; requirements N-03).
 */
export class Documents {
  readonly #fetch: FetchDocument
  readonly #now: () => number
  readonly #log: AuditLog
  readonly #kept = new Map<string, Found & { readonly until: number }>()
  readonly #underWay = new Map<string, { readonly host: string; readonly found: Promise<Found> }>()

  /** @param now milliseconds. */
  constructor(fetch: FetchDocument, now: () => number, log: AuditLog) {
    this.#fetch = fetch
    this.#now = now
    this.#log = log
  }

  /**
   * The description at the address, from memory while it is fresh. Whoever asks for one that is being fetched waits for
   * that.
   *
   * @throws OAuthError `client_document_*`.
   */
  async read(clientId: string): Promise<ClientMetadata> {
    const url = documentUrl(clientId)
    if (url === null) throw new OAuthError('client_document_address')
    const found = this.#fresh(clientId) ?? (await this.#join(clientId, url))
    if ('refused' in found) throw new OAuthError(found.refused)
    return found.metadata
  }

  #fresh(clientId: string): Found | undefined {
    const kept = this.#kept.get(clientId)
    if (kept === undefined) return undefined
    this.#kept.delete(clientId)
    if (kept.until <= this.#now()) return undefined
    this.#kept.set(clientId, kept)
    return kept
  }

  #join(clientId: string, url: URL): Promise<Found> {
    const joined = this.#underWay.get(clientId)
    if (joined) return joined.found
    const { host } = url
    const ofHost = [...this.#underWay.values()].filter((one) => one.host === host).length
    if (this.#underWay.size >= FETCHES_MAX || ofHost >= FETCHES_OF_HOST_MAX) {
      throw new OAuthError('client_document_busy')
    }
    const found = this.#load(clientId, url).finally(() => this.#underWay.delete(clientId))
    this.#underWay.set(clientId, { host, found })
    return found
  }

  async #load(clientId: string, url: URL): Promise<Found> {
    const [found, seconds] = await this.#ask(clientId, url)
    this.#kept.set(clientId, { ...found, until: this.#now() + seconds * 1000 })
    if (this.#kept.size > KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value!)
    return found
  }

  async #ask(clientId: string, url: URL): Promise<[found: Found, seconds: number]> {
    const refuse = (refused: DocumentReason, cause: string): [Found, number] => {
      this.#log.info({ host: url.host, reason: refused, cause }, 'the description of an app was refused')
      return [{ refused }, REFUSED_SECONDS]
    }
    let document: FetchedDocument
    try {
      document = await this.#fetch(url)
    } catch (error) {
      return refuse('client_document_unavailable', causeOf(error))
    }
    const { status, contentType, text, maxAgeSeconds = FRESH_DEFAULT_SECONDS } = document
    if (status !== 200) return refuse('client_document_unavailable', `status ${status}`)
    try {
      const seconds = Math.min(FRESH_MAX_SECONDS, Math.max(FRESH_MIN_SECONDS, maxAgeSeconds))
      return [{ metadata: readDocument(clientId, contentType, text) }, seconds]
    } catch (error) {
      if (!(error instanceof OAuthError)) throw error
      const cause = error.cause instanceof Error ? error.cause.message : error.message
      return refuse(error.reason as DocumentReason, cause)
    }
  }
}

const JSON_TYPE = /^application\/(?:json|[a-z0-9.-]+\+json)[ \t]*(?:;|$)/i

/**
 * What a description says, if it is one of this very address.
 *
 * @throws OAuthError `client_document_invalid`, `client_document_redirect_uri`, `client_document_method`
 * Source: draft-ietf-oauth-client-id-metadata-document §4.
 */
function readDocument(clientId: string, contentType: string, text: string): ClientMetadata {
  const invalid = (what: string) => new OAuthError('client_document_invalid', { cause: new Error(what) })
  if (!JSON_TYPE.test(contentType)) throw invalid('its type is not JSON')
  let members: unknown
  try {
    members = JSON.parse(text)
  } catch {
    throw invalid('it is not JSON')
  }
  if (typeof members !== 'object' || members === null || Array.isArray(members))
    throw invalid('it is no object')
  const { client_id, client_secret, token_endpoint_auth_method: method } = members as Record<string, unknown>
  if (client_id !== clientId) throw invalid('its client_id is not its address')
  if (client_secret !== undefined) throw invalid('it has a client_secret')
  if (method !== 'none' && method !== undefined) throw new OAuthError('client_document_method')
  return readClientMetadata(members as Record<string, unknown>, REASONS)
}
