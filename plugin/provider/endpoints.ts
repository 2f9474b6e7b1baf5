import net from 'node:net'
import type { ConfigProblem } from '../oauth/errors.ts'
import type { ResolvedProvider } from '../options/resolved.ts'
import { addressRule, isLoopbackIssuer } from './transport/addresses.ts'
import type { JsonObject } from './transport/response.ts'

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

/** Metadata of which `metadataProblems` has found none. */
export function readMetadata(metadata: JsonObject): Metadata {
  const urls = Object.keys(ENDPOINTS)
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
  const metadata: JsonObject = { issuer: provider.issuer }
  for (const [name, option] of Object.entries(ENDPOINTS)) {
    const value = option && provider[option]
    if (value !== undefined) metadata[name] = value
  }
  return metadata
}

/** An http issuer is for this machine, or for a network that the operator vouches for. */
export function issuerProblems(provider: ResolvedProvider): ConfigProblem[] {
  const https = new URL(provider.issuer).protocol === 'https:'
  if (https || isLoopbackIssuer(provider.issuer) || provider.dangerouslyAllowPrivateNetwork) return []
  return [
    {
      path: ['provider', 'issuer'],
      problem:
        'must be https (http only for 127.0.0.1, [::1] and localhost, or with dangerouslyAllowPrivateNetwork)',
    },
  ]
}

/**
 * Everything that keeps `metadata` from being used: another issuer (RFC 8414 §3.3), no S256, a missing
 * endpoint, or one that is not https on an allowed host (F-02, RFC 8414 §6.2).
 *
 * @param explicit the endpoints come from the options, so there is nothing that could list S256.
 */
export function metadataProblems(
  metadata: JsonObject,
  provider: ResolvedProvider,
  explicit: boolean,
): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const report = (key: string, problem: string) => problems.push({ path: ['provider', key], problem })

  if (metadata.issuer !== provider.issuer) {
    report('issuer', 'the metadata names another issuer; it must be the same string, slash for slash')
  }
  const methods = metadata.code_challenge_methods_supported
  if (!explicit && provider.pkce !== 'none' && !(Array.isArray(methods) && methods.includes('S256'))) {
    report(
      'pkce',
      `is ${provider.pkce}, but the provider's metadata does not list S256 in code_challenge_methods_supported. ` +
        'If it supports S256 without saying so, name its endpoints (authorizationEndpoint, tokenEndpoint, ...); ' +
        'if it has no PKCE at all, set none',
    )
  }
  if (metadata.require_pushed_authorization_requests && !metadata.pushed_authorization_request_endpoint) {
    report('issuer', 'the metadata requires pushed authorization requests but has no endpoint for them')
  }
  const required = ['authorization_endpoint', 'token_endpoint']
  if (provider.scope.split(' ').includes('openid')) required.push('jwks_uri')
  for (const [name, option] of Object.entries(ENDPOINTS)) {
    const value = metadata[name]
    const problem =
      value === undefined ? required.includes(name) && 'is missing' : endpointProblem(value, provider)
    if (!problem) continue
    if (explicit && option) report(option, problem)
    else report('issuer', `the metadata's ${name} ${problem}`)
  }
  return problems
}

function endpointProblem(value: unknown, provider: ResolvedProvider): string | undefined {
  if (typeof value !== 'string' || !URL.canParse(value)) return 'is not a URL'
  const url = new URL(value)
  const issuer = new URL(provider.issuer)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && issuer.protocol === 'http:'))
    return 'must be https'
  if (url.username !== '' || url.password !== '') return 'must not hold credentials'
  if (value.includes('#')) return 'must have no fragment'

  const host = `${url.hostname}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`
  if (
    url.host !== issuer.host &&
    !provider.allowedHosts.includes(url.host) &&
    !provider.allowedHosts.includes(host)
  ) {
    return `is on another host; if that is right, add ${host} to provider.allowedHosts`
  }
  const literal = url.hostname.replace(/^\[|\]$/g, '')
  if (net.isIP(literal) !== 0 && !addressRule(provider, url.origin)(literal)) return 'is on a private address'
  return undefined
}
