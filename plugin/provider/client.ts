import { setTimeout as wait } from 'node:timers/promises'
import * as oauth from 'oauth4webapi'
import { ConfigError, ProviderError } from '../errors.ts'
import type { ResolvedProvider } from '../options/resolved.ts'
import { type JsonObject, readAnswer } from './answer.ts'
import { authorizationParameters, authorizationUrl } from './authorization-request.ts'
import { causeOf, createCalls, type ProviderLog } from './calls.ts'
import { createDiscovery } from './discovery.ts'
import { issuerProblems, type Metadata } from './endpoints.ts'
import { createIdTokenValidator, type ExpectedIdToken } from './id-token.ts'
import { createKeySet } from './jwks.ts'
import { createDispatcher, type ProviderDispatcher } from './network.ts'
import type { Provider, ProviderTokens } from './provider.ts'
import { AGAIN, IF_UNSENT, ONCE, type Pause, pauseBetween, type RetryRule } from './retry.ts'
import { createRevocations } from './revocation.ts'
import { environmentProblems } from './tls-environment.ts'
import { readTokens, revocable } from './tokens.ts'

export interface ProviderClientOptions {
  readonly provider: ResolvedProvider
  /** Our redirect URI at the provider. */
  readonly callbackUrl: string
  readonly log: ProviderLog
  /** In place of connections of our own; only `request()` is called, and it is not closed. */
  readonly dispatcher?: ProviderDispatcher
  /** The clock, in milliseconds. */
  readonly now?: () => number
  /** 0 to 1, for the spread of retries. */
  readonly random?: () => number
  readonly sleep?: (ms: number) => Promise<unknown>
  readonly environment?: NodeJS.ProcessEnv
}

const CLOSE_MS = 2000

/**
 * The only caller of the provider. Requests and client authentication are oauth4webapi's; connections, limits and
 * the reading of answers are ours, and id_tokens are verified with jose.
 */
export function createProvider(options: ProviderClientOptions): Provider {
  const { provider, callbackUrl, log, now = Date.now, random = Math.random } = options
  const { sleep = (ms) => wait(ms, undefined, { ref: false }), environment = process.env } = options
  const pause = (firstMs: number, mostMs: number): Pause => pauseBetween(firstMs, mostMs, random, sleep)

  const own = options.dispatcher ? undefined : createDispatcher(provider)
  const dispatcher = options.dispatcher ?? own!
  const client: oauth.Client = { client_id: provider.clientId }
  const calls = createCalls({ provider, dispatcher, log, now, pause: pause(100, 1000) })
  const discovery = createDiscovery({ provider, calls, log, pause: pause(1000, 30_000) })
  const keys = createKeySet(fetchKeys, now)
  const validateIdToken = createIdTokenValidator({
    issuer: provider.issuer,
    clientId: provider.clientId,
    keys,
    now,
  })
  const revocations = createRevocations(revokeOnce, pause(500, 5000), (error) =>
    log.warn({ cause: causeOf(error) }, 'a token could not be revoked at the provider and stays valid there'),
  )

  return {
    issuer: provider.issuer,
    get ready() {
      return discovery.metadata !== undefined
    },
    get issRequired() {
      return discovery.metadata?.authorization_response_iss_parameter_supported === true
    },
    get hasUserinfo() {
      return discovery.metadata?.userinfo_endpoint !== undefined
    },

    async start() {
      const problems = [
        ...environmentProblems(environment, log),
        ...issuerProblems(provider),
        ...(await credentialProblems()),
      ]
      if (problems.length > 0) throw new ConfigError(problems)
      await discovery.start()
    },

    async authorizationUrl(request) {
      const { authorization_endpoint, pushed_authorization_request_endpoint } = accepted()
      const parameters = authorizationParameters(provider, callbackUrl, request)
      if (pushed_authorization_request_endpoint === undefined) {
        return authorizationUrl(authorization_endpoint, parameters)
      }
      const request_uri = await push(new URLSearchParams([...parameters]))
      return authorizationUrl(
        authorization_endpoint,
        Object.entries({ client_id: provider.clientId, request_uri }),
      )
    },

    async exchangeCode({ code, codeVerifier, nonce, maxAge }) {
      const parameters = new URLSearchParams({ code, redirect_uri: callbackUrl })
      if (codeVerifier !== undefined) parameters.set('code_verifier', codeVerifier)
      const body = await askForTokens('authorization_code', parameters, ONCE)
      return acceptTokens(body, { nonce: { sent: nonce }, maxAge }, undefined)
    },

    async refresh({ refreshToken, subject }) {
      const parameters = new URLSearchParams({ refresh_token: refreshToken })
      const body = await askForTokens('refresh_token', parameters, IF_UNSENT)
      return acceptTokens(body, { nonce: 'any' }, subject)
    },

    async userinfo(accessToken, subject) {
      const as = accepted()
      const response = await calls.send('userinfo', AGAIN, (http) =>
        oauth.userInfoRequest(as, client, accessToken, http),
      )
      const claims = await readAnswer('userinfo', response)
      if (typeof claims.sub !== 'string') throw invalid('provider_answer_invalid', 'userinfo', 'sub')
      if (subject !== undefined && claims.sub !== subject) {
        throw invalid('provider_subject_mismatch', 'userinfo', 'sub')
      }
      return claims
    },

    revoke,

    async close() {
      discovery.stop()
      await revocations.settled(CLOSE_MS)
      await own?.destroy()
    },
  }

  /** A key or secret that is given as text can be tried at start; a function is asked when it is needed. */
  async function credentialProblems() {
    const key = provider.clientAuthentication === 'private_key_jwt' ? 'privateKey' : 'clientSecret'
    if (typeof provider[key] === 'function') return []
    try {
      await calls.checkCredentials()
      return []
    } catch {
      const problem =
        key === 'clientSecret'
          ? 'is missing'
          : 'is not a private key: a JWK, or PKCS#8 PEM; RSA, P-256, P-384, Ed25519'
      return [{ path: ['provider', key], problem }]
    }
  }

  function accepted(): Metadata {
    if (discovery.metadata) return discovery.metadata
    throw new ProviderError('provider_not_ready', 'discovery', { unsent: true })
  }

  async function push(parameters: URLSearchParams): Promise<string> {
    const as = accepted()
    const response = await calls.sendAuthenticated('par', IF_UNSENT, (auth, http) =>
      oauth.pushedAuthorizationRequest(as, client, auth, parameters, http),
    )
    const { request_uri } = await calls.read('par', response)
    if (typeof request_uri === 'string' && /^[\x21-\x7e]{1,2048}$/.test(request_uri)) return request_uri
    throw invalid('provider_answer_invalid', 'par', 'request_uri')
  }

  async function askForTokens(
    grantType: string,
    parameters: URLSearchParams,
    rule: RetryRule,
  ): Promise<JsonObject> {
    const as = accepted()
    const response = await calls.sendAuthenticated('token', rule, (auth, http) =>
      oauth.genericTokenEndpointRequest(as, client, auth, grantType, parameters, http),
    )
    return calls.read('token', response)
  }

  /** Tokens that are refused here exist at the provider all the same, so they are taken back (F-15). */
  async function acceptTokens(
    body: JsonObject,
    expected: Omit<ExpectedIdToken, 'accessToken'>,
    subject: string | undefined,
  ): Promise<ProviderTokens> {
    try {
      const { tokens, idToken } = readTokens(body)
      const asked =
        (expected.nonce !== 'any' && expected.nonce.sent !== undefined) || expected.maxAge !== undefined
      if (idToken === undefined && asked) throw invalid('provider_id_token_invalid', 'token', 'there is none')
      // Without a jwks_uri nothing was asked of OpenID Connect, and an id_token means nothing here.
      if (idToken === undefined || accepted().jwks_uri === undefined) return tokens
      const claims = await validateIdToken(idToken, { ...expected, accessToken: tokens.accessToken })
      if (subject !== undefined && claims.sub !== subject)
        throw invalid('provider_subject_mismatch', 'token', 'sub')
      return { ...tokens, claims }
    } catch (error) {
      const issued = revocable(body)
      if (issued) revoke(issued)
      throw error
    }
  }

  async function fetchKeys(): Promise<JsonObject> {
    const headers = { accept: 'application/json, application/jwk-set+json' }
    const response = await calls.send('jwks', AGAIN, (http) =>
      http[oauth.customFetch](accepted().jwks_uri!, { method: 'GET', headers }),
    )
    return readAnswer('jwks', response)
  }

  function revoke({
    accessToken,
    refreshToken,
  }: {
    accessToken: string
    refreshToken?: string | undefined
  }): void {
    if (discovery.metadata?.revocation_endpoint === undefined) return
    if (refreshToken === undefined) revocations.start(accessToken, 'access_token')
    else revocations.start(refreshToken, 'refresh_token')
  }

  async function revokeOnce(token: string, hint: string): Promise<void> {
    const as = accepted()
    const response = await calls.sendAuthenticated('revocation', ONCE, (auth, http) =>
      oauth.revocationRequest(as, client, auth, token, {
        ...http,
        additionalParameters: { token_type_hint: hint },
      }),
    )
    if (!response.ok) await calls.read('revocation', response)
  }
}

function invalid(
  reason: 'provider_answer_invalid' | 'provider_id_token_invalid' | 'provider_subject_mismatch',
  endpoint: string,
  what: string,
): ProviderError {
  return new ProviderError(reason, endpoint, { cause: new Error(what) })
}
