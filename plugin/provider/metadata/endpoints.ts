import type { ConfigProblem } from '../../options/config-error.ts'
import { endpointProblem, hasOpenId } from '../../options/provider/rules.ts'
import { metadataIssuer, TENANT_PLACEHOLDER } from '../../options/provider/tenants.ts'
import type { ResolvedProvider } from '../../options/resolved.ts'
import type { JsonObject } from '../transport/response.ts'

/** What we use of authorization server metadata (RFC 8414 §2). */
export interface Metadata extends Readonly<Partial<Record<Endpoint, URL>>> {
  readonly authorization_endpoint: URL
  readonly token_endpoint: URL
  readonly authorization_response_iss_parameter_supported: boolean
}

/** Metadata names of the endpoints that we use, and the options that can name them instead. */
const ENDPOINTS = {
  authorization_endpoint: 'authorizationEndpoint',
  token_endpoint: 'tokenEndpoint',
  pushed_authorization_request_endpoint: undefined,
  revocation_endpoint: 'revocationEndpoint',
  userinfo_endpoint: 'userinfoEndpoint',
  jwks_uri: 'jwksUri',
} as const
type Endpoint = keyof typeof ENDPOINTS

function usedEndpoints({ par }: ResolvedProvider): Partial<typeof ENDPOINTS> {
  const { pushed_authorization_request_endpoint, ...others } = ENDPOINTS
  return par === 'never' ? others : ENDPOINTS
}

/** What we use of metadata in which `metadataProblems` has found none. */
export function readMetadata(metadata: JsonObject, provider: ResolvedProvider): Metadata {
  const urls = Object.keys(usedEndpoints(provider))
    .filter((name) => metadata[name] !== undefined)
    .map((name) => [name, new URL(metadata[name] as string)])
  return {
    ...(Object.fromEntries(urls) as Pick<Metadata, Endpoint>),
    authorization_response_iss_parameter_supported:
      metadata.authorization_response_iss_parameter_supported === true,
  }
}

/** What the options name instead of discovery, or undefined. Never mixed with discovered metadata (F-01). */
export function explicitMetadata(provider: ResolvedProvider): JsonObject | undefined {
  if (provider.authorizationEndpoint === undefined) return undefined
  const metadata: JsonObject = { issuer: metadataIssuer(provider) }
  for (const [name, option] of Object.entries(ENDPOINTS)) {
    const value = option && provider[option]
    if (value !== undefined) metadata[name] = value
  }
  return metadata
}

/** Where a client with a certificate calls, whatever it authenticates with (RFC 8705 §5). */
const WITH_CERTIFICATE = [
  'token_endpoint',
  'revocation_endpoint',
  'pushed_authorization_request_endpoint',
  'userinfo_endpoint',
] as const

/** Metadata with the endpoints for TLS client certificates in place of the others, if we have one. */
export function withCertificateEndpoints(metadata: JsonObject, provider: ResolvedProvider): JsonObject {
  const aliases = metadata.mtls_endpoint_aliases
  if (provider.clientCert === undefined || typeof aliases !== 'object' || aliases === null) return metadata
  const ours = Object.entries(aliases).filter(([name]) =>
    (WITH_CERTIFICATE as readonly string[]).includes(name),
  )
  return { ...metadata, ...Object.fromEntries(ours) }
}

/**
 * Everything that keeps `metadata` from being used: another issuer (RFC 8414 §3.3), challenge methods without
 * S256, a missing endpoint, or one that is not https on an allowed host (F-02, RFC 8414 §6.2).
 *
 * @param explicit the endpoints come from the options, which are then named.
 */
export function metadataProblems(
  metadata: JsonObject,
  provider: ResolvedProvider,
  explicit: boolean,
): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const report = (key: string, problem: string) => problems.push({ path: ['provider', key], problem })

  if (provider.tenants === undefined && String(metadata.issuer).includes(TENANT_PLACEHOLDER)) {
    const what = 'the metadata is that of an issuer for users of several tenants'
    report('tenants', `is required: ${what}; list the ids of yours, or * for every tenant`)
  } else if (metadata.issuer !== metadataIssuer(provider)) {
    report('issuer', 'the metadata names another issuer; it must be the same string, slash for slash')
  }
  const methods = metadata.code_challenge_methods_supported
  if (provider.pkce !== 'none' && methods !== undefined && ![methods].flat().includes('S256')) {
    report(
      'pkce',
      `is ${provider.pkce}, but the provider's metadata does not list S256 in code_challenge_methods_supported; ` +
        'if it has no S256, set none',
    )
  }
  const canPush = metadata.pushed_authorization_request_endpoint !== undefined
  if (metadata.require_pushed_authorization_requests && !canPush) {
    report('issuer', 'the metadata requires pushed authorization requests but has no endpoint for them')
  } else if (metadata.require_pushed_authorization_requests && provider.par === 'never') {
    report('par', 'is never, but the provider requires pushed authorization requests')
  } else if (provider.par === 'always' && !canPush && !explicit) {
    report('par', "is always, but the provider's metadata has no pushed_authorization_request_endpoint")
  }
  const required = ['authorization_endpoint', 'token_endpoint']
  if (hasOpenId(provider)) required.push('jwks_uri')
  for (const [name, option] of Object.entries(usedEndpoints(provider))) {
    const value = metadata[name]
    const problem =
      value === undefined ? required.includes(name) && 'is missing' : endpointProblem(value, provider)
    if (!problem) continue
    if (explicit && option) report(option, problem)
    else report('issuer', `the metadata's ${name} ${problem}`)
  }
  return problems
}
