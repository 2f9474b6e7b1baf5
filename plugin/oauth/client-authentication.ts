import { hash, timingSafeEqual } from 'node:crypto'
import type { RegisteredClient, ResourceServer } from './client.ts'
import { OAuthError, type Reason } from './errors.ts'
import { decodeFormComponent, type FormParameters } from './form.ts'

/** The parameters by which a client identifies itself in a form (RFC 6749 §2.3.1, RFC 7521 §4.2). */
export const clientParameters = ['client_id', 'client_secret', 'client_assertion'] as const
/** One of `clientParameters`. */
export type ClientParameter = (typeof clientParameters)[number]

interface ClientCredentials {
  readonly clientId: string
  readonly method: 'none' | 'client_secret_basic' | 'client_secret_post' | 'client_assertion'
  /** Empty for `none`. */
  readonly secret: string
}

const BASIC = /^Basic +([A-Za-z0-9+/]+={0,2})$/i

/**
 * The client behind a request to the token or revocation endpoint: a public one by its `client_id`, a
 * confidential one by its registered method and no other.
 *
 * @param authorization the `Authorization` header, if there was one.
 * @param realm for the challenge in a 401; a quoted string's content, so without quotes and backslashes.
 * @throws OAuthError `client_*`: one and the same 401 `invalid_client` with `WWW-Authenticate: Basic`, whatever
 *   was wrong; 400 `invalid_request` for more than one method at once.
 * Source: RFC 6749 §2.3.1, §3.2.1, §5.2. Constant time where secrets meet, the same work for unknown clients.
 */
export function identifyClient(
  authorization: string | undefined,
  parameters: FormParameters<ClientParameter>,
  clients: { get(clientId: string): RegisteredClient | undefined },
  realm: string,
): RegisteredClient {
  const { clientId, method, secret } = readCredentials(authorization, parameters, realm)
  const client = clients.get(clientId)
  const secretIsRight = method === 'none' || secretsEqual(secret, client?.clientSecret ?? '')

  if (client === undefined) throw refusal('client_unknown', realm)
  if (method !== client.authentication) {
    throw refusal(method === 'none' ? 'client_credentials_missing' : 'client_method_not_registered', realm)
  }
  if (!secretIsRight) throw refusal('client_credentials_wrong', realm)
  if (!client.enabled) throw refusal('client_disabled', realm)
  return client
}

/**
 * The resource server behind an introspection request. It always authenticates, by either method.
 *
 * @throws OAuthError as `identifyClient`.
 * Source: RFC 7662 §2.1.
 */
export function identifyResourceServer(
  authorization: string | undefined,
  parameters: FormParameters<ClientParameter>,
  resourceServers: ReadonlyMap<string, ResourceServer>,
  realm: string,
): ResourceServer {
  const { clientId, method, secret } = readCredentials(authorization, parameters, realm)
  const server = resourceServers.get(clientId)
  const secretIsRight = secretsEqual(secret, server?.clientSecret ?? '')

  if (method === 'none') throw refusal('client_credentials_missing', realm)
  if (method === 'client_assertion') throw refusal('client_method_not_registered', realm)
  if (server === undefined) throw refusal('client_unknown', realm)
  if (!secretIsRight) throw refusal('client_credentials_wrong', realm)
  return server
}

function readCredentials(
  authorization: string | undefined,
  parameters: FormParameters<ClientParameter>,
  realm: string,
): ClientCredentials {
  const basic = authorization === undefined ? undefined : parseBasic(authorization, realm)
  const { client_id, client_secret, client_assertion } = parameters

  // A client that names itself in the body beside Basic is common; one that names two clients is not.
  if (basic !== undefined && client_id !== undefined && basic.clientId !== client_id) {
    throw new OAuthError('client_methods_several')
  }
  const clientId = basic?.clientId ?? client_id
  if (clientId === undefined) throw refusal('client_credentials_missing', realm)

  // An empty secret counts as none (RFC 6749 §2.3.1); in the body, the form parser has dropped it already.
  const presented: ClientCredentials[] = []
  if (basic !== undefined && basic.secret !== '') {
    presented.push({ clientId, method: 'client_secret_basic', secret: basic.secret })
  }
  if (client_secret !== undefined) {
    presented.push({ clientId, method: 'client_secret_post', secret: client_secret })
  }
  if (client_assertion !== undefined) presented.push({ clientId, method: 'client_assertion', secret: '' })
  if (presented.length > 1) throw new OAuthError('client_methods_several')
  return presented[0] ?? { clientId, method: 'none', secret: '' }
}

/** RFC 7617 §2, with both halves form-encoded (RFC 6749 §2.3.1). */
function parseBasic(authorization: string, realm: string): { clientId: string; secret: string } {
  const encoded = BASIC.exec(authorization)?.[1] ?? ''
  const bytes = Buffer.from(encoded, 'base64')
  const pair = bytes.toString('latin1')
  const separator = pair.indexOf(':')
  // Encoding back tells whether Node's lenient decoder has skipped anything.
  if (separator < 1 || bytes.toString('base64') !== encoded) {
    throw refusal('client_credentials_malformed', realm)
  }
  try {
    return {
      clientId: decodeFormComponent(pair.slice(0, separator)),
      secret: decodeFormComponent(pair.slice(separator + 1)),
    }
  } catch {
    throw refusal('client_credentials_malformed', realm)
  }
}

/** Compares digests, so that neither length nor content shows in the time. */
function secretsEqual(presented: string, registered: string): boolean {
  return timingSafeEqual(hash('sha256', presented, 'buffer'), hash('sha256', registered, 'buffer'))
}

function refusal(reason: Extract<Reason, `client_${string}`>, realm: string): OAuthError {
  return new OAuthError(reason, { headers: { 'www-authenticate': `Basic realm="${realm}"` } })
}
