/**
 * A registered app, complete: every option of `clients[]` with its default (RFC 6749 §2).
 *
 * `plugin/options` makes it out of its schema; the type test `test/types/options.ts` proves that the two agree.
 */
export interface RegisteredClient {
  readonly clientId: string
  /** What the page calls it. */
  readonly name: string
  /** False: it is refused everywhere, its live sessions included. */
  readonly enabled: boolean
  /** Its one method at the token and revocation endpoints; `none` for a public client. */
  readonly authentication: 'none' | 'client_secret_basic' | 'client_secret_post'
  /** Of a confidential client. */
  readonly clientSecret?: string
  /** Exact, but for the port of a loopback redirect (RFC 8252 §7.3). */
  readonly redirectUris: readonly string[]
  /** Scopes of ours that it may have. */
  readonly scopes: readonly string[]
  /** Those of `scopes` that the provider is asked for as well. */
  readonly providerScopes: readonly string[]
  /** Claims that userinfo and identity headers may show, besides `sub`. */
  readonly claims: readonly string[]
  /** Undefined: decided by the kind of redirect URI. */
  readonly interaction?: 'page' | 'none' | 'prompt'
  /** Authorization parameters of the app that the provider gets. */
  readonly passThrough: readonly string[]
  /** Exact origins of a browser client (CORS). */
  readonly allowedOrigins: readonly string[]
  /** Names of the providers where its users may sign in; empty: all of them. */
  readonly providers: readonly string[]
  /** Its authorization requests must be pushed (RFC 9126 §6). */
  readonly requirePar: boolean
  /** Whether its tokens are bound to keys that it proves to hold (RFC 9449). */
  readonly dpop: 'off' | 'allowed' | 'required'
  /** A code that is proved again shortly after it was used gets the same answer, should that have been lost (C-25). */
  readonly repeatableExchange: boolean
}

/** Who may introspect (RFC 7662 §2.1). It always authenticates. */
export interface ResourceServer {
  readonly clientId: string
  readonly clientSecret: string
}

/** What apps may do that nobody has registered: `agents` of the options. */
export interface AgentRules {
  /** A `client_id` may be the address of the app's own description (draft-ietf-oauth-client-id-metadata-document). */
  readonly metadataDocuments: boolean
  /** Apps may register themselves (RFC 7591). */
  readonly registration: false | AgentRegistration
  /** Hosts of such descriptions; empty: any public one. */
  readonly allowedHosts: readonly string[]
  /** Exact origins of such apps that run in a browser (CORS). */
  readonly allowedOrigins: readonly string[]
  /** All that such an app may have. */
  readonly scopes: readonly string[]
  readonly dangerouslyAllowPrivateNetwork: boolean
}

/** How many apps may have registered themselves, and for how long. */
export interface AgentRegistration {
  readonly max: number
  /** Until the first login. */
  readonly unusedSeconds: number
  /** Since it was last used. */
  readonly idleSeconds: number
}

/** How an app that nobody registered has made itself known. */
export type UnregisteredKind = 'document' | 'registration'

/** An app that nobody registered, with the registration that it is treated as having. */
export interface UnregisteredClient extends RegisteredClient {
  readonly unregistered: UnregisteredKind
  /** What a person is told that it is: its host, which is proved; or the name that it gives itself, which nothing proves. */
  readonly label: string
}

/** Whom a `client_id` can name. */
export interface KnownClients {
  readonly clients: ReadonlyMap<string, RegisteredClient>
  readonly agents: AgentRules
}

const REGISTRATION_ID = /^agent_[A-Za-z0-9_-]{22}$/
const REGISTRATION_PREFIX = 'agent_'
const CLIENT_ID_MAX = 256

/** True for an app that nobody registered. */
export function isUnregistered(client: RegisteredClient): client is UnregisteredClient {
  return 'unregistered' in client
}

/** How the bearer of such a `client_id` has made itself known, should nobody have registered it. */
export function unregisteredKind(clientId: string): UnregisteredKind | undefined {
  if (clientId.startsWith('https://')) return 'document'
  return REGISTRATION_ID.test(clientId) ? 'registration' : undefined
}

/** The `client_id` of an app that registers itself. @param selector 22 characters of base64url. */
export function registrationId(selector: string): string {
  return REGISTRATION_PREFIX + selector
}

/**
 * The address that a `client_id` is, or null if no description may be there. It must be spelled as every URL class spells
 * it, so that what a person is shown, what is fetched and what is compared is one and the same.
 *
 * Source: draft-ietf-oauth-client-id-metadata-document §3.
 */
export function documentUrl(clientId: string): URL | null {
  if (clientId.length > CLIENT_ID_MAX || !URL.canParse(clientId)) return null
  const url = new URL(clientId)
  const isPlain = url.href === clientId && url.protocol === 'https:' && !clientId.includes('#')
  const hasCredentials = url.username !== '' || url.password !== ''
  return isPlain && !hasCredentials && url.pathname !== '/' && url.hostname !== '' ? url : null
}

/**
 * The app that is named, as far as its name and the configuration tell: nothing is looked up. Of an app that nobody
 * registered that is enough wherever a grant decides, which has been bound to it at its login.
 *
 * @returns undefined for a name that means nobody here.
 */
export function knownClient(known: KnownClients, clientId: string): RegisteredClient | undefined {
  const registered = known.clients.get(clientId)
  if (registered !== undefined) return registered
  const kind = unregisteredKind(clientId)
  if (kind === 'document') {
    const url = known.agents.metadataDocuments ? documentUrl(clientId) : null
    return url && isAllowedHost(known.agents, url)
      ? unregisteredClient(known.agents, { kind, clientId, label: url.host, redirectUris: [] })
      : undefined
  }
  if (kind === undefined || known.agents.registration === false) return undefined
  return unregisteredClient(known.agents, { kind, clientId, label: '', redirectUris: [] })
}

/** True for a host that descriptions may come from. */
export function isAllowedHost({ allowedHosts }: AgentRules, { host }: URL): boolean {
  return allowedHosts.length === 0 || allowedHosts.includes(host)
}

/** What is known of an app that nobody registered. */
export interface UnregisteredFacts {
  readonly kind: UnregisteredKind
  readonly clientId: string
  readonly label: string
  readonly redirectUris: readonly string[]
}

/** The app as every endpoint takes it: public, with the scopes of `agents` and no claim, and with nothing passed on. */
export function unregisteredClient(
  { scopes, allowedOrigins }: AgentRules,
  { kind, clientId, label, redirectUris }: UnregisteredFacts,
): UnregisteredClient {
  return {
    ...{ clientId, redirectUris, scopes, allowedOrigins, label },
    unregistered: kind,
    name: kind === 'document' ? label : unverifiedName(label),
    ...{ enabled: true, authentication: 'none', dpop: 'off' },
    ...{ requirePar: false, repeatableExchange: false },
    ...{ providerScopes: [], claims: [], passThrough: [], providers: [] },
  }
}

function unverifiedName(label: string): string {
  return label === '' ? 'an app without a name' : `an app that calls itself “${label}”`
}

/** A `client_id` as a line of the log has it: of an address only the host, since it may hold anything. */
export function loggedClientId(clientId: string): string {
  if (unregisteredKind(clientId) !== 'document') return clientId
  return URL.canParse(clientId) ? `${new URL(clientId).origin}/…` : 'https://…'
}
