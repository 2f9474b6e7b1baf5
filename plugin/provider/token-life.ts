import type { ResolvedProvider } from '../options/resolved.ts'
import type { ProviderTokens } from './provider.ts'
import type { ProviderLog } from './transport/calls.ts'

/** A year, which no session outlives. */
const NEVER_SECONDS = 31_536_000
/** What is likely short-lived, and can be renewed. */
const RENEWABLE_SECONDS = 300

/**
 * How long a provider token lives: whole seconds (RFC 6749 §5.1, D-15). What is not a positive number says nothing.
 * Then `defaultTokenSeconds` counts; without it a token that can be renewed is renewed soon, and one that cannot is
 * taken at its word: no end was named, and none can be put off.
 */
export function tokenSeconds(
  expiresIn: unknown,
  isRenewable: boolean,
  { defaultTokenSeconds }: Pick<ResolvedProvider, 'defaultTokenSeconds'>,
): number {
  const seconds = Math.floor(
    typeof expiresIn === 'string' ? Number(expiresIn) : typeof expiresIn === 'number' ? expiresIn : NaN,
  )
  if (seconds >= 1) return Math.min(seconds, NEVER_SECONDS)
  const unsaid = defaultTokenSeconds ?? (isRenewable ? RENEWABLE_SECONDS : 'never')
  return unsaid === 'never' ? NEVER_SECONDS : unsaid
}

/** Parameters by which some providers are asked for a refresh token instead of scope `offline_access`. */
const OFFLINE_PARAMETERS = ['access_type', 'token_access_type']

/**
 * Tells the operator, once, that the provider has given no refresh token: what ends when, and how to ask for one.
 */
export function createOfflineAccessWarning(
  { scope, authorizationParams }: ResolvedProvider,
  log: ProviderLog,
): (tokens: ProviderTokens) => void {
  const isAsked =
    scope.split(' ').includes('offline_access') ||
    OFFLINE_PARAMETERS.some((name) => authorizationParams[name] === 'offline')
  let isTold = false
  return ({ refreshToken, expiresInSeconds }) => {
    if (refreshToken !== undefined || isTold) return
    isTold = true
    const end =
      expiresInSeconds === NEVER_SECONDS
        ? 'which is taken to live as long as the session (provider.defaultTokenSeconds)'
        : `after ${expiresInSeconds} s, and their users sign in again then`
    log.warn(
      { expiresInSeconds },
      `the provider has given no refresh token${isAsked ? ', although offline access was asked for' : ''}: ` +
        `such sessions end with its access token, ${end}. ` +
        'One is asked for with offline_access in provider.scope; with Google, which does not know that scope, with ' +
        'provider.authorizationParams access_type=offline and prompt=consent. Some providers have none to give',
    )
  }
}
