import { type ActiveGrant, type Grant, subjectOfItsOwn } from '../../grant/grant.ts'
import type { RegisteredClient } from '../../oauth/client.ts'
import { ProviderError } from '../../oauth/errors.ts'
import type { Claims, Provider, ProviderTokens } from '../../provider/provider.ts'
import type { TokenRequest } from './token-request.ts'

/** Who signed in: what the grant keeps of the provider's word. */
export interface Identity {
  readonly subject: string
  /** The session at the provider, where its id_token names one. */
  readonly sid?: string
  /** The client's allow-listed claims; the rest is forgotten (E-06). */
  readonly claims: Record<string, unknown>
  /** All that the provider has told. */
  readonly known: Claims
}

/**
 * The identity behind fresh tokens: from the validated id_token, and from the provider's userinfo where that
 * lacks something the client may see. A provider that tells no identity gives each grant a subject of its own.
 *
 * @param user claims that nobody has signed: they stand where nothing else does, and identify nobody (M-03).
 * @throws ProviderError when userinfo names another subject (OIDC Core §5.3.2), or fails where no id_token has said
 * who it is (F-17).
 */
export async function identify(
  request: TokenRequest,
  grant: Pick<Grant, 'id' | 'provider'>,
  tokens: ProviderTokens,
  user: Claims = {},
): Promise<Identity> {
  const { client } = request
  const provider = request.services.providers.of(grant)
  let claims: Claims = tokens.claims ?? {}
  const known = typeof claims.sub === 'string' ? claims.sub : undefined
  const lacking = known === undefined || client.claims.some((name) => claims[name] === undefined)
  if (lacking && provider.hasUserinfo) {
    claims = { ...(await readUserinfo(request, provider, tokens.accessToken, known)), ...claims }
  }
  // Nobody but the id_token is asked: it alone is signed for certain.
  const sid = tokens.claims?.sid
  return {
    subject: typeof claims.sub === 'string' ? claims.sub : subjectOfItsOwn(grant.id),
    ...(typeof sid === 'string' && sid !== '' && { sid }),
    claims: selectClaims(client, { ...user, ...claims }),
    known: { ...user, ...claims },
  }
}

/**
 * The provider's userinfo. Where an id_token has said who it is, one that fails costs its claims and not the login:
 * Entra ID's, for one, refuses access tokens of other APIs.
 *
 * @param known the subject of the id_token, if there was one.
 */
async function readUserinfo(
  request: TokenRequest,
  provider: Provider,
  accessToken: string,
  known: string | undefined,
): Promise<Claims> {
  try {
    return await provider.userinfo(accessToken, known)
  } catch (error) {
    const isForgivable = error instanceof ProviderError && error.reason !== 'provider_subject_mismatch'
    if (known === undefined || !isForgivable) throw error
    request.log.warn({ err: error }, 'userinfo of the provider failed; the login goes on without its claims')
    return {}
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

/**
 * How and when the person has signed in, for the grant (S-04). How long ago that was is told by the provider's own
 * clock, so that a difference between the clocks makes no login too old, and none newer than it is.
 *
 * @param claims of the validated id_token: neither userinfo nor what the browser brought counts.
 * @param now milliseconds of the store's clock. Source: OIDC Core §2.
 */
export function authenticationOf(
  claims: Claims | undefined,
  now: number,
): Pick<ActiveGrant, 'acr' | 'authTime'> {
  const { acr, auth_time, iat } = claims ?? {}
  // What is no point in time would be no number in the record either.
  const isTold = isTime(auth_time) && isTime(iat)
  return {
    ...(typeof acr === 'string' && acr !== '' && { acr }),
    ...(isTold && { authTime: now - Math.max(0, iat - auth_time) * 1000 }),
  }
}

/** True for seconds since the epoch (RFC 7519 §2, NumericDate). */
function isTime(claim: unknown): claim is number {
  return typeof claim === 'number' && claim >= 0 && claim <= Number.MAX_SAFE_INTEGER / 1000
}

/** For scopes that were passed on, the provider's response wins over the request (F-16, RFC 6749 §5.1). */
export function narrowByProvider(
  scope: readonly string[],
  client: RegisteredClient,
  tokens: Pick<ProviderTokens, 'scope'>,
): readonly string[] {
  const given = tokens.scope
  if (given === undefined) return scope
  const isGiven = (token: string) => given.some((value) => value === token || isInCommaList(value, token))
  return scope.filter((token) => !client.providerScopes.includes(token) || isGiven(token))

  /** `a,b` is what some send for `a b`, and can be one scope as well: then it has been asked for (F-15). */
  function isInCommaList(value: string, token: string): boolean {
    return !client.providerScopes.includes(value) && value.split(',').includes(token)
  }
}

/** Of what the provider has answered: a line of the log should not be as long as a response can be. */
const MAX_LOGGED_CHARACTERS = 200

/**
 * Warns when a grant has lost every scope that was passed on to the provider (F-15): an app that can do nothing is
 * more often a matter of spelling, or of what is registered at the provider, than of what somebody wanted.
 *
 * @param scope of the grant before the provider's response.
 */
export function warnOfLostScopes(
  request: TokenRequest,
  scope: readonly string[],
  tokens: Pick<ProviderTokens, 'scope'>,
): void {
  const { client } = request
  const isAsked = (token: string) => client.providerScopes.includes(token)
  const asked = scope.filter(isAsked)
  if (asked.length === 0 || narrowByProvider(scope, client, tokens).some(isAsked)) return
  request.log.warn(
    {
      clientId: client.clientId,
      asked: asked.join(' '),
      answered: tokens.scope?.join(' ').slice(0, MAX_LOGGED_CHARACTERS),
    },
    'the provider has given none of the scopes that were asked of it',
  )
}
