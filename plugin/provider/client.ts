import { setTimeout as wait } from 'node:timers/promises'
import { ProviderError } from '../oauth/errors.ts'
import { ConfigError, type ConfigProblem } from '../options/config-error.ts'
import type { ProviderName } from '../options/provider/named.ts'
import { hasOpenId } from '../options/provider/rules.ts'
import { issProblem } from '../options/provider/tenants.ts'
import type { ResolvedProvider } from '../options/resolved.ts'
import { noObserver, type Observer } from '../options/types/observer.ts'
import { createClientAuthentication } from './authentication/client-authentication.ts'
import { authorizationUrl, createAuthorizationParameters } from './authorization-request.ts'
import { createDiscovery } from './metadata/discovery.ts'
import type { Metadata } from './metadata/endpoints.ts'
import { createIdTokens } from './openid/id-token.ts'
import { createKeySet, type KeySet } from './openid/jwks.ts'
import { createLogoutTokens } from './openid/logout-token.ts'
import { createUserinfo } from './openid/userinfo.ts'
import type { Provider } from './provider.ts'
import { adviceOn } from './refusals/advice.ts'
import { createRevocation } from './revocation.ts'
import { createTokenEndpoint } from './token-endpoint.ts'
import { createCalls, type ProviderLog } from './transport/calls.ts'
import { createDispatcher, type ProviderDispatcher } from './transport/network.ts'
import { type JsonObject, readResponse } from './transport/response.ts'
import { AGAIN, IF_UNSENT, type Pause, pauseBetween } from './transport/retry.ts'

/** What the provider client is made of; clock, random numbers and connections can be replaced. */
export interface ProviderClientOptions {
  readonly provider: ResolvedProvider
  /** Among several. */
  readonly name?: ProviderName
  /** Our redirect URI at the provider. */
  readonly callbackUrl: string
  /** `tokens: relay`: one that could not be presented here is refused. */
  readonly relaysTokens?: boolean
  /** True for an access token that a session lives on, which is not revoked. By default there is none. */
  readonly isTokenInUse?: ((accessToken: string) => Promise<boolean>) | undefined
  readonly log: ProviderLog
  /** Default: none. */
  readonly observer?: Observer
  /** Has been accepted already, for a provider with the same options. */
  readonly metadata?: Metadata | undefined
  /** In place of connections of our own; only `dispatch()` is called, and it is not closed. */
  readonly dispatcher?: ProviderDispatcher
  /** The clock, in milliseconds. */
  readonly now?: () => number
  /** 0 to 1, for the spread of retries. */
  readonly random?: () => number
  /** May end early, by a rejection, when `signal` aborts. */
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<unknown>
  readonly environment?: NodeJS.ProcessEnv
}

const CLOSE_MS = 2000

/**
 * The only caller of the provider. Connections are undici's, and whatever is signed or verified is jose's; requests,
 * limits and the reading of responses are ours.
 */
export function createProvider(options: ProviderClientOptions): Provider {
  const { provider, callbackUrl, log, now = Date.now, random = Math.random } = options
  const { sleep = waitUnreferenced, environment = process.env } = options
  // What has an age, and no date: the host's clock may be set while a breaker is open, or keys are kept.
  const elapsed = options.now ?? (() => performance.now())
  const pause = (firstMs: number, mostMs: number): Pause => pauseBetween(firstMs, mostMs, random, sleep)

  const own = options.dispatcher ? undefined : createDispatcher(provider)
  const dispatcher = options.dispatcher ?? own!
  const authentication = createClientAuthentication(provider, now)
  const calls = createCalls({
    ...{ provider, callbackUrl, authentication, dispatcher, log, now: elapsed, pause: pause(100, 1000) },
    suspectMove: () => discovery.suspectMove(),
    observer: options.observer ?? noObserver(),
  })
  const discovery = createDiscovery({
    ...{ provider, callbackUrl, calls, log, now: elapsed, random, sleep },
    known: options.metadata,
  })
  const metadata = () => discovery.metadata
  const revocation = createRevocation({
    ...{ calls, metadata, log, pause: pause(500, 5000), isInUse: options.isTokenInUse },
  })
  const { revoke } = revocation
  const parametersOf = createAuthorizationParameters(provider, callbackUrl)
  const signed = { trusted: provider, keys: keyFinder(), now }
  // Anybody can post a token with an unknown `kid`: what pauses that brings about must not be those of logins (F-13).
  const logoutTokens = createLogoutTokens({ ...signed, keys: keyFinder() })
  const idTokens = createIdTokens(signed)
  const tokenEndpoint = createTokenEndpoint({
    ...{ provider, calls, log, callbackUrl, accepted, idTokens, revoke },
    relaysTokens: options.relaysTokens ?? false,
  })

  return {
    name: options.name,
    options: provider,
    issuer: provider.issuer,
    adviceOn: (words) => adviceOn(words, { provider, callbackUrl }),
    isIssuer: (iss) => issProblem(iss, provider) === undefined,
    get ready() {
      return metadata() !== undefined
    },
    get metadata() {
      return metadata()
    },
    get issRequired() {
      return metadata()?.authorization_response_iss_parameter_supported ?? false
    },
    get hasUserinfo() {
      // A discovered one answers tokens of scope `openid` alone (OIDC Core §5.3); a configured one is meant to be asked.
      const answers = provider.userinfoEndpoint !== undefined || hasOpenId(provider)
      return answers && metadata()?.userinfo_endpoint !== undefined
    },

    async start() {
      const problems = [...environmentProblems(environment, log), ...(await authentication.problems())]
      if (problems.length > 0) throw new ConfigError(problems)
      await discovery.start()
    },

    whenReady: () =>
      discovery.find().then(
        () => true,
        () => false,
      ),

    async authorizationUrl(request) {
      const { authorization_endpoint, pushed_authorization_request_endpoint: par } = accepted()
      const parameters = parametersOf(request)
      if (par === undefined) return authorizationUrl(authorization_endpoint, parameters)
      const request_uri = await push(par, parameters)
      return authorizationUrl(authorization_endpoint, { client_id: provider.clientId, request_uri })
    },

    // An instance that began in an outage learns of its end by the first request.
    async redeemCode(redemption) {
      await discovery.find()
      return tokenEndpoint.redeemCode(redemption)
    },
    async refresh(refresh) {
      await discovery.find()
      return tokenEndpoint.refresh(refresh)
    },
    refreshedClaims: (idToken, accessToken) => idTokens.validate(idToken, { accessToken }),
    ...createUserinfo({ ...signed, calls, accepted }),
    sendsLogouts: hasOpenId(provider),
    async readLogoutToken(jwt) {
      await discovery.find()
      return logoutTokens.read(jwt)
    },
    revoke,

    async close() {
      discovery.stop()
      await revocation.settled(CLOSE_MS)
      await own?.destroy()
    },
  }

  function accepted(): Metadata {
    const as = metadata()
    if (as === undefined) throw new ProviderError('provider_not_ready', 'discovery', { unsent: true })
    return as
  }

  /** Keys of an old `jwks_uri` prove nothing at a new one: each address has a set of its own. */
  function keyFinder(): KeySet['find'] {
    let keys: { readonly address: string; readonly set: KeySet } | undefined
    return (header, token) => {
      const address = accepted().jwks_uri!.href
      if (keys?.address !== address) keys = { address, set: createKeySet(fetchKeys, elapsed) }
      return keys.set.find(header, token)
    }
  }

  /** RFC 9126 §2.1. @returns the request_uri. */
  async function push(endpoint: URL, parameters: Record<string, string>): Promise<string> {
    const response = await calls.post('par', IF_UNSENT, endpoint, parameters)
    const { request_uri } = calls.read('par', response)
    if (typeof request_uri === 'string' && /^[\x21-\x7e]{1,2048}$/.test(request_uri)) return request_uri
    throw new ProviderError('provider_answer_invalid', 'par', { cause: new Error('request_uri') })
  }

  async function fetchKeys(): Promise<JsonObject> {
    const accept = 'application/json, application/jwk-set+json'
    return readResponse('jwks', await calls.get('jwks', AGAIN, accepted().jwks_uri!, { accept }))
  }
}

function waitUnreferenced(ms: number, signal?: AbortSignal): Promise<unknown> {
  return wait(ms, undefined, { ref: false, ...(signal && { signal }) })
}

/**
 * `NODE_TLS_REJECT_UNAUTHORIZED=0` does not reach our connections to the provider, but it does reach everything
 * else in the process: refused in production, loudly named elsewhere (F-07, RFC 9700 §2.6).
 */
function environmentProblems(environment: NodeJS.ProcessEnv, log: ProviderLog): ConfigProblem[] {
  if (environment.NODE_TLS_REJECT_UNAUTHORIZED !== '0') return []
  const problem =
    'is 0, which turns certificate checks off; instead, name a private CA in provider.ca (in the gateway provider.caFile, upstreams[].caFile, store.caFile), or for the whole process in NODE_EXTRA_CA_CERTS'
  if (environment.NODE_ENV === 'production') return [{ path: ['NODE_TLS_REJECT_UNAUTHORIZED'], problem }]
  log.warn({}, `NODE_TLS_REJECT_UNAUTHORIZED ${problem}`)
  return []
}
