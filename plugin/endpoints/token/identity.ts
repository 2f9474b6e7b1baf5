import type { RegisteredClient } from '../../oauth/client.ts'
import type { Claims, Provider, ProviderTokens } from '../../provider/provider.ts'

/** Who signed in: what the grant keeps of the provider's word. */
export interface Identity {
  readonly subject: string
  /** The client's allow-listed claims; the rest is forgotten (E-06). */
  readonly claims: Record<string, unknown>
}

/**
 * The identity behind fresh tokens: from the validated id_token, and from the provider's userinfo where that
 * lacks something the client may see. A provider that tells no identity gives each grant a subject of its own.
 *
 * @throws ProviderError when userinfo is needed and fails, or names another subject (OIDC Core §5.3.2).
 */
export async function identify(
  provider: Provider,
  client: RegisteredClient,
  grantId: string,
  tokens: ProviderTokens,
): Promise<Identity> {
  let claims: Claims = tokens.claims ?? {}
  const known = typeof claims.sub === 'string' ? claims.sub : undefined
  const lacking = known === undefined || client.claims.some((name) => claims[name] === undefined)
  if (lacking && provider.hasUserinfo)
    claims = { ...(await provider.userinfo(tokens.accessToken, known)), ...claims }
  return {
    subject: typeof claims.sub === 'string' ? claims.sub : `grant:${grantId}`,
    claims: selectClaims(client, claims),
  }
}

/** The claims that a client may see. */
export function selectClaims(client: RegisteredClient, claims: Claims): Record<string, unknown> {
  return Object.fromEntries(
    client.claims
      .filter((name) => Object.hasOwn(claims, name) && claims[name] != null)
      .map((name) => [name, claims[name]]),
  )
}

/** For scopes that were passed on, the provider's response wins over the request (F-16, RFC 6749 §5.1). */
export function narrowByProvider(
  scope: readonly string[],
  client: RegisteredClient,
  tokens: Pick<ProviderTokens, 'scope'>,
): readonly string[] {
  const given = tokens.scope
  if (given === undefined) return scope
  return scope.filter((token) => !client.providerScopes.includes(token) || given.includes(token))
}
