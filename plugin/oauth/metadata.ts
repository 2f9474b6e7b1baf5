import { dpopAlgorithms } from './access/dpop-key.ts'
import type { KnownClients, ResourceServer } from './client.ts'

/** What the metadata tells of us. */
interface AuthorizationServer extends KnownClients {
  /** Our issuer. */
  readonly publicUrl: string
  /** Where our endpoints are below it, e.g. `/oauth2`. */
  readonly routePrefix: string
  readonly resourceServers: ReadonlyMap<string, ResourceServer>
}

/**
 * Our metadata, the same body for both well-known addresses. Only what is implemented is claimed.
 *
 * Source: RFC 8414 §2, RFC 9207 §3, RFC 9126 §5, RFC 9449 §5.1, RFC 7591 §3,
 * draft-ietf-oauth-client-id-metadata-document §5. `jwks_uri`, `subject_types_supported` and
 * `id_token_signing_alg_values_supported` are there because OpenID Connect Discovery §3 requires them and some
 * clients require them, though no id_token is issued.
 */
export function authorizationServerMetadata(server: AuthorizationServer) {
  const endpoint = (name: string) => `${server.publicUrl}${server.routePrefix}/${name}`
  const clients = [...server.clients.values()].filter((client) => client.enabled)
  const { metadataDocuments, registration, scopes } = server.agents
  const isOpen = metadataDocuments || registration !== false
  const clientMethods = unique(['none', ...clients.map((client) => client.authentication)])

  return {
    issuer: server.publicUrl,
    authorization_endpoint: endpoint('authorize'),
    pushed_authorization_request_endpoint: endpoint('par'),
    ...(!isOpen &&
      clients.length > 0 &&
      clients.every(({ requirePar }) => requirePar) && { require_pushed_authorization_requests: true }),
    ...(registration !== false && { registration_endpoint: endpoint('register') }),
    ...(metadataDocuments && { client_id_metadata_document_supported: true }),
    token_endpoint: endpoint('token'),
    revocation_endpoint: endpoint('revoke'),
    ...(server.resourceServers.size > 0 && {
      introspection_endpoint: endpoint('introspect'),
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    }),
    userinfo_endpoint: endpoint('userinfo'),
    jwks_uri: endpoint('jwks'),
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: clientMethods,
    revocation_endpoint_auth_methods_supported: clientMethods,
    code_challenge_methods_supported: ['S256'],
    ...(clients.some(({ dpop }) => dpop !== 'off') && {
      dpop_signing_alg_values_supported: [...dpopAlgorithms],
    }),
    authorization_response_iss_parameter_supported: true,
    scopes_supported: unique([...clients.flatMap((client) => client.scopes), ...(isOpen ? scopes : [])]),
  }
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)]
}
