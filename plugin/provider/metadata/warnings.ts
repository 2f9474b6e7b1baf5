import { PRESETS } from '../../options/provider/presets/presets.ts'
import type { ResolvedProvider } from '../../options/resolved.ts'
import type { JsonObject } from '../transport/response.ts'

/**
 * What the metadata says against the options, short of what makes them unusable: it may be wrong or incomplete, and
 * then the provider has the last word (M-07, A-16).
 *
 * Source: RFC 8414 §2.
 */
export function metadataWarnings(metadata: JsonObject, provider: ResolvedProvider): string[] {
  const checks = [challengeWarning, scopeWarning, authenticationWarning, responseModeWarning]
  return checks.map((check) => check(metadata, provider)).filter((warning) => warning !== undefined)
}

/** Whoever does not know the parameter ignores it (RFC 6749 §3.1), and then the code is not bound to its transaction. */
function challengeWarning(metadata: JsonObject, { pkce }: ResolvedProvider): string | undefined {
  if (pkce === 'none' || metadata.code_challenge_methods_supported !== undefined) return undefined
  return (
    "the provider's metadata does not say whether it has PKCE (code_challenge_methods_supported); S256 is sent. " +
    'Check that it refuses a wrong code_verifier'
  )
}

function scopeWarning(metadata: JsonObject, provider: ResolvedProvider): string | undefined {
  const known = listOf(metadata.scopes_supported)
  const unknown = provider.scope.split(' ').filter((scope) => scope !== '' && !known?.includes(scope))
  if (known === undefined || unknown.length === 0) return undefined
  const wish = unknown.includes('offline_access')
    ? '; such a provider gives a refresh token in another way, or always'
    : ''
  return (
    `provider.scope has ${unknown.join(' ')}, which the provider's metadata does not list (scopes_supported): if it ` +
    `refuses logins with invalid_scope, take that out${wish}${presetHint(provider)}`
  )
}

/** Under what names metadata lists our methods. */
const METHOD_NAMES: Partial<Record<ResolvedProvider['clientAuthentication'], readonly string[]>> = {
  apple: ['client_secret_post'],
  tls_client_auth: ['tls_client_auth', 'self_signed_tls_client_auth'],
}

function authenticationWarning(
  metadata: JsonObject,
  { clientAuthentication }: ResolvedProvider,
): string | undefined {
  const offered = listOf(metadata.token_endpoint_auth_methods_supported)
  const names = METHOD_NAMES[clientAuthentication] ?? [clientAuthentication]
  if (offered === undefined || names.some((name) => offered.includes(name))) return undefined
  return (
    `provider.clientAuthentication is ${clientAuthentication}, which the provider's metadata does not list ` +
    `(token_endpoint_auth_methods_supported: ${told(offered)})`
  )
}

function responseModeWarning(metadata: JsonObject, { responseMode }: ResolvedProvider): string | undefined {
  // What is left out means query and fragment.
  const offered = listOf(metadata.response_modes_supported) ?? ['query', 'fragment']
  if (offered.includes(responseMode)) return undefined
  return (
    `provider.responseMode is ${responseMode}, which the provider's metadata does not list ` +
    `(response_modes_supported: ${told(offered)})`
  )
}

/** The preset of this issuer, where it is not used. */
export function presetHint({ issuer, preset }: ResolvedProvider): string {
  const [name] = Object.entries(PRESETS).find(([, { options }]) => options.issuer === issuer) ?? []
  return name === undefined || name === preset ? '' : `. \`preset: ${name}\` has what this provider wants`
}

function listOf(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? value : undefined
}

/** The provider's words, as far as they are ones. */
function told(values: readonly unknown[]): string {
  return values
    .filter((value) => typeof value === 'string' && /^[\w.:-]{1,64}$/.test(value))
    .slice(0, 12)
    .join(', ')
}
