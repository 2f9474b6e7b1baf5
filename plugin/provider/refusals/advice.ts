import { GUIDES } from '../../options/provider/guides.ts'
import type { ResolvedProvider } from '../../options/resolved.ts'
import { presetHint } from '../metadata/warnings.ts'

/** Who we are at the provider, as far as a refusal can be about it. */
export interface Registration {
  readonly provider: ResolvedProvider
  /** Our redirect URI there. */
  readonly callbackUrl: string
}

type Explain = (registration: Registration) => string

/**
 * What the commonest mistakes look like, by the provider's own word or number: which option of ours and which setting
 * of the provider's to look at. Numbers are Entra ID's `error_codes` (AADSTS…) and Facebook's `error.code`.
 */
const CAUSES: readonly (readonly [words: readonly string[], explain: Explain])[] = [
  [
    [
      ...['invalid_client', 'incorrect_client_credentials', 'bad_client_secret', 'invalid_client_id'],
      ...['bad_client_id', 'incorrect_client_id', 'invalid_client_secret', '7000215', '7000222', '700016'],
      ...['101', '1'],
    ],
    ({ provider }) => `${credentials(provider)}: they must be those of one client at ${consoleOf(provider)}`,
  ],
  [
    ['redirect_uri_mismatch', 'invalid_redirect_uri', 'bad_redirect_uri', '50011', '191'],
    ({ provider, callbackUrl }) =>
      `register exactly ${callbackUrl} as ${redirectUrisOf(provider)} at ${consoleOf(provider)}`,
  ],
  [
    ['invalid_scope', 'unknown_scope', 'missing_scope', 'unauthorized_scope_error', '70011', '650053'],
    ({ provider }) =>
      `check provider.scope (${provider.scope}) against what ${consoleOf(provider)} allows${presetHint(provider)}`,
  ],
  [
    ['unauthorized_client', 'unsupported_response_type', 'unsupported_grant_type', 'app_not_authorized'],
    ({ provider }) =>
      `${credentials(provider)}; they must be those of one client at ${consoleOf(provider)}, which must be allowed the ` +
      'authorization code flow, and refresh tokens where they are wanted',
  ],
  [
    ['90002', '50020', '50194', '500011', 'tenant_not_found'],
    ({ provider }) =>
      `the user or the client is of another tenant: check provider.issuer (${provider.issuer}) and provider.tenants`,
  ],
  [
    ['9002325', '50148', 'invalid_code_challenge', 'pkce_required', 'invalid_code_verifier'],
    ({ provider }) => pkce(provider),
  ],
  [
    ['consent_required', 'interaction_required', 'admin_consent_required', '65001', '65004', '90094'],
    ({ provider }) =>
      `the user, or an administrator, has not consented to provider.scope (${provider.scope}): grant it at ` +
      `${consoleOf(provider)}, or ask by provider.authorizationParams with prompt: consent`,
  ],
  [
    ['invalid_request', 'invalid_grant', 'bad_verification_code', 'invalid_code', '100'],
    ({ provider, callbackUrl }) =>
      `if no login succeeds: the redirect URI registered at ${consoleOf(provider)} must be exactly ${callbackUrl}, ` +
      `the client must be that of provider.clientId, and ${pkce(provider)}`,
  ],
]

/**
 * What to look at when the provider has refused with one of these words, or undefined: no mistake of ours looks so.
 *
 * @param words the provider's own, the most telling first. @returns a sentence for the operator, without a secret.
 */
export function adviceOn(words: readonly string[], registration: Registration): string | undefined {
  for (const word of words) {
    const [, explain] = CAUSES.find(([known]) => known.includes(word)) ?? []
    if (explain) return explain(registration)
  }
  return undefined
}

/**
 * The words and numbers of this table in the text of a page or an address, the most telling first. Words that are
 * ordinary ones, and short numbers, are not looked for.
 */
export function refusalWordsIn(text: string): string[] {
  const numbers = [...text.matchAll(/\bAADSTS(\d{1,9})\b/g)].map(([, number]) => number!)
  const found = new Set(text.match(/\b[a-z]+(?:_[a-z]+)+\b/g))
  const words = CAUSES.flatMap(([known]) => known).filter((word) => found.has(word))
  return [...new Set([...numbers.slice(0, 3), ...words])]
}

/** What to look at when our client is refused, whatever the word. */
export function adviceOnClient({ provider, callbackUrl }: Registration): string {
  return (
    `${credentials(provider)}, and the redirect URI (${callbackUrl}) and scopes that are registered at ` +
    consoleOf(provider)
  )
}

function credentials({ clientAuthentication }: ResolvedProvider): string {
  switch (clientAuthentication) {
    case 'apple':
      return 'check provider.clientId (the Services ID), teamId, keyId, privateKey (the .p8 of that key) and the clock'
    case 'private_key_jwt':
      return 'check provider.clientId, privateKey (its public half is registered) and the clock'
    case 'tls_client_auth':
      return 'check provider.clientId and clientCert'
    case 'none':
      return 'check provider.clientId, and whether this client needs a secret (provider.clientAuthentication is none)'
    default:
      return `check provider.clientId, clientSecret (its value, not its id; expired?) and clientAuthentication (${clientAuthentication})`
  }
}

function pkce({ pkce }: ResolvedProvider): string {
  return pkce === 'none'
    ? 'provider.pkce is none: if this client must use PKCE, set own'
    : `PKCE with S256 must be allowed for this client; if the provider has none, set provider.pkce to none (now ${pkce})`
}

/** Where we are registered, in the provider's own words. */
function consoleOf({ preset, issuer }: ResolvedProvider): string {
  return (preset && GUIDES[preset].where) ?? `the provider (${issuer})`
}

function redirectUrisOf({ preset }: ResolvedProvider): string {
  return (preset && GUIDES[preset].redirectUris) ?? 'a redirect URI'
}
