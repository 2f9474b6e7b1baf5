import type { EndReason } from '../../../grant/audit-events.ts'
import type { RedeemingGrant } from '../../../grant/grant.ts'
import type { StoredGrant } from '../../../grant/grants.ts'
import { OAuthError, type Reason } from '../../../oauth/errors.ts'
import type { Login, LoginDecision } from '../../../options/types/login.ts'
import type { ProviderTokens } from '../../../provider/provider.ts'
import { within } from '../../../stores/within.ts'
import type { Identity } from '../identity.ts'
import type { TokenRequest } from '../token-request.ts'

/** How long `onLogin` may take. The app waits for it, and the provider's code is used up. */
const DECIDE_MS = 5000
/** Of a team's own claims, as JSON: they are in every session, and may be in a header. */
const CLAIMS_BYTES_MAX = 4096
/** Who somebody is, is the provider's word. */
const RESERVED = ['sub', 'iss']

/** What a login comes to, once the team has had its say. */
export interface DecidedLogin {
  readonly scope: readonly string[]
  /** The team's own claims, which no refresh renews. */
  readonly ownClaims?: Readonly<Record<string, unknown>>
}

/**
 * Asks `onLogin`, once for each grant: after the provider's response, and before anything is issued. What the provider
 * has issued is revoked where there is no session.
 *
 * @param scope that the grant would have.
 * @throws OAuthError `login_denied`; `login_undecided` where the hook fails, takes too long, or gives what cannot be.
 */
export async function decideLogin(
  request: TokenRequest,
  redeeming: StoredGrant<RedeemingGrant>,
  scope: readonly string[],
  { tokens, identity }: { readonly tokens: ProviderTokens; readonly identity: Identity },
): Promise<DecidedLogin> {
  const { onLogin } = request.services.options
  if (!onLogin) return { scope }
  let denied: string
  try {
    const signal = AbortSignal.timeout(DECIDE_MS)
    const login = describe(request, redeeming.grant, scope, identity)
    const decision: LoginDecision = await within(DECIDE_MS, (async () => onLogin({ ...login, signal }))())
    if (!decision || !('deny' in decision)) return checked(decision ?? {}, scope)
    denied = String(decision.deny).slice(0, 256)
  } catch (error) {
    request.log.warn({ err: error }, 'onLogin failed: the login is refused')
    return refuse(request, redeeming, tokens, 'login_undecided')
  }
  request.log.info({ denied }, 'onLogin has denied a login')
  return refuse(request, redeeming, tokens, 'login_denied')
}

function describe(
  { services, client }: TokenRequest,
  grant: RedeemingGrant,
  scope: readonly string[],
  { subject, known }: Identity,
): Omit<Login, 'signal'> {
  const { issuer, name } = services.providers.of(grant)
  return {
    ...{ grantId: grant.id, issuer, provider: name, subject },
    claims: structuredClone(known),
    ...{ clientId: client.clientId, scopes: [...scope] },
  }
}

/** @throws TypeError that says to the team what cannot be. */
function checked(decision: { claims?: unknown; scopes?: unknown }, scope: readonly string[]): DecidedLogin {
  const { claims = {}, scopes = scope } = decision
  if (!Array.isArray(scopes) || scopes.some((one) => !scope.includes(one as string))) {
    throw new TypeError('onLogin: scopes must be some of those that it was given')
  }
  const json = JSON.stringify(claims) ?? 'null'
  if (Buffer.byteLength(json) > CLAIMS_BYTES_MAX) {
    throw new TypeError(`onLogin: claims must be at most ${CLAIMS_BYTES_MAX} bytes of JSON`)
  }
  // What is kept is judged: a toJSON of the team's own may have made something else of it.
  const ownClaims: unknown = JSON.parse(json)
  if (typeof ownClaims !== 'object' || ownClaims === null || Array.isArray(ownClaims)) {
    throw new TypeError('onLogin: claims must be a plain object')
  }
  const reserved = RESERVED.find((name) => Object.hasOwn(ownClaims, name))
  if (reserved) throw new TypeError(`onLogin: claims must not have ${reserved}: it is the provider's word`)
  return {
    scope: [...scopes],
    ...(Object.keys(ownClaims).length > 0 && { ownClaims: ownClaims as Record<string, unknown> }),
  }
}

async function refuse(
  request: TokenRequest,
  redeeming: StoredGrant<RedeemingGrant>,
  tokens: ProviderTokens,
  reason: Extract<Reason & EndReason, `login_${string}`>,
): Promise<never> {
  const { grant } = redeeming
  const { grants, providers } = request.services
  providers.of(grant).revoke(tokens)
  request.record('login.denied', { grant, reason })
  await grants.end(redeeming, reason).catch((err: unknown) => {
    // The code is claimed already; the record runs out by itself.
    request.log.warn({ err }, 'a denied login could not be recorded')
  })
  throw new OAuthError(reason)
}
