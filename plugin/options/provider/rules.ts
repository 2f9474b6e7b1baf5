import net from 'node:net'
import type { ConfigProblem } from '../config-error.ts'
import type { ResolvedProvider } from '../resolved.ts'
import { addressRule, isLoopbackIssuer } from './addresses.ts'
import { presetProblems } from './presets/preset-problems.ts'
import { isSigningKey, signingKeyWords } from './signing-key.ts'
import { isTenant, metadataIssuer, TENANT_PLACEHOLDER } from './tenants.ts'
import { tlsProblems } from './tls-rules.ts'

/** Parameters that are ours to set; `authorizationParams` may name none of them. */
const OWN_PARAMETERS = [
  'client_id',
  'redirect_uri',
  'response_type',
  'response_mode',
  'scope',
  'state',
  'nonce',
  'code_challenge',
  'code_challenge_method',
  'request',
  'request_uri',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
]
/** The options that can name an endpoint instead of discovery. */
const ENDPOINT_OPTIONS = [
  'authorizationEndpoint',
  'tokenEndpoint',
  'revocationEndpoint',
  'userinfoEndpoint',
  'jwksUri',
] as const

type Report = (key: string, problem: string) => void

/** What is wrong with the provider's options, as far as it can be told without asking anybody. */
export function providerProblems(provider: ResolvedProvider): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const report: Report = (key, problem) => problems.push({ path: ['provider', key], problem })

  for (const { key, problem } of presetProblems(provider)) report(key, problem)
  const issuerProblem = problemOfIssuer(provider)
  if (issuerProblem) report('issuer', issuerProblem)
  checkCredentials(provider, report)
  for (const [key, problem] of tlsProblems(provider)) report(key, problem)
  for (const [name, value] of Object.entries(provider.authorizationParams)) {
    const problem = parameterProblem(name, value)
    if (problem) problems.push({ path: ['provider', 'authorizationParams', name], problem })
  }
  if (!provider.nonce && provider.pkce === 'none') {
    report(
      'nonce',
      'is false and pkce is none: nothing would bind the code to its transaction; one of them must',
    )
  }
  checkEndpointSet(provider, report)
  checkSubject(provider, report)
  problems.push(...tenantProblems(provider))
  // Endpoints are judged by the issuer: its scheme, its host.
  if (issuerProblem) return problems
  for (const option of ENDPOINT_OPTIONS) {
    const problem = provider[option] !== undefined && endpointProblem(provider[option], provider)
    if (problem) report(option, problem)
  }
  return problems
}

function parameterProblem(name: string, value: string): string | undefined {
  if (OWN_PARAMETERS.includes(name)) return 'is set by us and cannot be overridden'
  return name === 'max_age' && !/^[0-9]{1,9}$/.test(value) ? 'must be a whole number of seconds' : undefined
}

/** What an operator should hear at start: what weakens security, and what the provider will not tell. */
export function providerWarnings(provider: ResolvedProvider): string[] {
  const warnings: string[] = []
  if (provider.dangerouslyAllowPrivateNetwork) {
    warnings.push(
      'provider.dangerouslyAllowPrivateNetwork is set: provider URLs may lead into the private network',
    )
  }
  if (provider.pkce === 'none') {
    warnings.push("provider.pkce is none: the provider's code is not bound to its transaction")
  }
  if (provider.tenants?.includes('*')) {
    warnings.push(
      'provider.tenants is *: users of every tenant may sign in. Their administrators choose what email and name say, ' +
        'so know people by sub, never by those',
    )
  }
  if (!hasOpenId(provider) && provider.userinfoEndpoint === undefined) {
    warnings.push(
      'the provider tells nobody who signs in, and each login has a subject of its own, grant:<id>: add openid to ' +
        'provider.scope, or set provider.userinfoEndpoint and provider.subjectClaim',
    )
  }
  return warnings
}

/** True if an id_token is asked for (OIDC Core §3.1.2.1), and read. */
export function hasOpenId({ scope, idToken }: Pick<ResolvedProvider, 'scope' | 'idToken'>): boolean {
  return idToken === 'check' && scope.split(' ').includes('openid')
}

/** Why the issuer cannot be used, or undefined (RFC 8414 §2, F-01, F-03). */
function problemOfIssuer(provider: ResolvedProvider): string | undefined {
  const issuer = URL.canParse(provider.issuer) ? new URL(provider.issuer) : null
  if (!issuer || !['https:', 'http:'].includes(issuer.protocol)) return 'must be an https URL'
  if (issuer.username || issuer.password) return 'must not hold credentials'
  if (/[?#]/.test(provider.issuer)) return 'must have no query and no fragment (RFC 8414 §2)'
  // An http issuer is for this machine, or for a network that the operator vouches for.
  const mayBeHttp = isLoopbackIssuer(provider.issuer) || provider.dangerouslyAllowPrivateNetwork
  if (issuer.protocol === 'http:' && !mayBeHttp) {
    return 'must be https (http only for 127.0.0.1, [::1] and localhost, or with dangerouslyAllowPrivateNetwork)'
  }
  // With hand-set endpoints nobody connects to the issuer.
  if (provider.authorizationEndpoint === undefined && isRefusedAddress(issuer, provider)) {
    return 'is on a private address; if the provider is in your own network, set dangerouslyAllowPrivateNetwork'
  }
  return undefined
}

/** What the one configured method needs (F-05). A secret that is a function is asked when it is needed. */
function checkCredentials(provider: ResolvedProvider, report: Report): void {
  const { clientAuthentication, clientSecret, privateKey } = provider
  if (clientAuthentication.startsWith('client_secret') && clientSecret === undefined) {
    report('clientSecret', `is required: clientAuthentication is ${clientAuthentication}`)
  }
  if (!['private_key_jwt', 'apple'].includes(clientAuthentication)) return
  if (privateKey === undefined) {
    report('privateKey', `is required: clientAuthentication is ${clientAuthentication}`)
  } else if (typeof privateKey === 'string' && !isSigningKey(privateKey, clientAuthentication)) {
    report('privateKey', signingKeyWords(clientAuthentication))
  }
  if (clientAuthentication !== 'apple') return
  for (const key of ['teamId', 'keyId'] as const) {
    if (provider[key] === undefined) report(key, 'is required: clientAuthentication is apple')
  }
}

/** Explicit endpoints replace discovery, so that those which are needed must all be there (F-01). */
function checkEndpointSet(provider: ResolvedProvider, report: Report): void {
  if (provider.par === 'always' && provider.authorizationEndpoint !== undefined) {
    report('par', 'is always, but authorizationEndpoint is set: where to push is told by metadata alone')
  }
  if (provider.authorizationEndpoint === undefined) {
    if (ENDPOINT_OPTIONS.some((option) => provider[option] !== undefined)) {
      report(
        'authorizationEndpoint',
        'is required: another endpoint is set, and explicit endpoints replace discovery',
      )
    }
    return
  }
  if (provider.tokenEndpoint === undefined) {
    report(
      'tokenEndpoint',
      'is required: authorizationEndpoint is set, and explicit endpoints replace discovery',
    )
  }
  if (hasOpenId(provider) && provider.jwksUri === undefined) {
    report('jwksUri', 'is required: scope has openid, and the id_token signature is always checked')
  }
}

/** One address serves all tenants, so that those who may sign in are listed (F-14). */
function tenantProblems(provider: ResolvedProvider): ConfigProblem[] {
  const { tenants = [], issuer, authorizationEndpoint } = provider
  const problems: ConfigProblem[] = []
  const report = (key: string, problem: string) => problems.push({ path: ['provider', key], problem })
  if (issuer.includes(TENANT_PLACEHOLDER) && authorizationEndpoint === undefined) {
    report('issuer', 'is a template, which cannot be asked: write common or organizations for the tenant')
  } else if (tenants.length > 0 && !metadataIssuer(provider).includes(TENANT_PLACEHOLDER)) {
    report('tenants', 'is for an issuer of several tenants, with /common or /organizations in its path')
  }
  if (tenants.length > 0 && provider.idToken === 'ignore') {
    report('idToken', 'is ignore, but which tenant somebody is of is told by the id_token alone')
  }
  for (const [index, tenant] of tenants.entries()) {
    if (tenant === '*' ? tenants.length === 1 : isTenant(tenant)) continue
    const problem = tenant === '*' ? 'stands alone' : "must be a tenant's id (a GUID, not a domain)"
    problems.push({ path: ['provider', 'tenants', ...(tenant === '*' ? [] : [index])], problem })
  }
  return problems
}

/** Who signs in is told by the id_token, or by a userinfo that is asked every time (F-17). */
function checkSubject(provider: ResolvedProvider, report: Report): void {
  if (provider.subjectClaim === 'sub') return
  if (hasOpenId(provider) || provider.jwksUri !== undefined) {
    report('subjectClaim', 'is for providers without OpenID: with it, sub of the id_token is the subject')
  } else if (provider.userinfoEndpoint === undefined) {
    report('subjectClaim', 'is a claim of userinfo: set provider.userinfoEndpoint')
  }
}

/**
 * Why we do not send anything to an endpoint, or undefined: it must be https like its issuer, on the issuer's host or
 * one of `allowedHosts`, without credentials and fragment, and not on a private address (F-02, F-03, RFC 8414 §6.2).
 *
 * @param value of the options or of the provider's metadata. @param provider with an issuer that is a URL.
 */
export function endpointProblem(value: unknown, provider: ResolvedProvider): string | undefined {
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
  return isRefusedAddress(url, provider) ? 'is on a private address' : undefined
}

/** True for a literal address that we would not connect to; a name is looked up when it is needed. */
function isRefusedAddress({ hostname, origin }: URL, provider: ResolvedProvider): boolean {
  const literal = hostname.replace(/^\[|\]$/g, '')
  return net.isIP(literal) !== 0 && !addressRule(provider, origin)(literal)
}
