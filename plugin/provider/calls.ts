import * as oauth from 'oauth4webapi'
import { type ConfigProblem, ProviderError } from '../errors.ts'
import type { ResolvedProvider } from '../options/resolved.ts'
import { type JsonObject, readAnswer } from './answer.ts'
import { createBreaker } from './breaker.ts'
import { createClientAuthentication } from './client-authentication.ts'
import { createFetch, type EndpointName, endpointNames, type ProviderFetch } from './fetch.ts'
import { errorCode, type ProviderDispatcher } from './network.ts'
import { type Pause, type RetryRule, withRetries } from './retry.ts'

/** What the provider client writes to: pino, or anything with its three methods. */
export type ProviderLog = Record<'info' | 'warn' | 'error', (fields: object, message: string) => void>

/** oauth4webapi's options for one endpoint. */
export interface HttpOptions {
  [oauth.customFetch]: ProviderFetch
  [oauth.allowInsecureRequests]: boolean
}

/** Every request to the provider goes through here: breaker, retry rule, limits, and client authentication. */
export interface Calls {
  /** Sends what `request` makes, under the endpoint's breaker. @throws ProviderError */
  send(
    endpoint: EndpointName,
    rule: RetryRule,
    request: (http: HttpOptions) => Promise<Response>,
  ): Promise<Response>
  /** The same with our client authentication, which is asked for anew at each call. @throws ProviderError */
  sendAuthenticated(
    endpoint: EndpointName,
    rule: RetryRule,
    request: (auth: oauth.ClientAuth, http: HttpOptions) => Promise<Response>,
  ): Promise<Response>
  /** Reads an answer of the token or PAR endpoint; that our client is refused is told to the operator. */
  read(endpoint: EndpointName, response: Response): Promise<JsonObject>
  /** Tries a secret or key that is given as text; a function is asked when it is needed. */
  credentialProblems(): Promise<ConfigProblem[]>
}

/** The code behind a failure, for a log line: never a message, which can quote what was sent. */
export function causeOf(error: unknown): string {
  if (!(error instanceof ProviderError)) return errorCode(error)
  return error.cause instanceof Error ? error.cause.message : error.reason
}

/** @see Calls */
export function createCalls(options: {
  provider: ResolvedProvider
  dispatcher: ProviderDispatcher
  log: ProviderLog
  now: () => number
  pause: Pause
}): Calls {
  const { provider, dispatcher, log, now, pause } = options
  const authenticate = createClientAuthentication(provider)
  const insecure = new URL(provider.issuer).protocol === 'http:'
  const endpoints = new Map(
    endpointNames.map((endpoint) => {
      const http: HttpOptions = {
        [oauth.customFetch]: createFetch(endpoint, dispatcher, provider.timeouts),
        [oauth.allowInsecureRequests]: insecure,
      }
      return [endpoint, { http, guarded: createBreaker(endpoint, now) }]
    }),
  )

  const calls: Calls = {
    send(endpoint, rule, request) {
      const { guarded, http } = endpoints.get(endpoint)!
      return guarded(() => withRetries(rule, pause, () => request(http)))
    },

    async sendAuthenticated(endpoint, rule, request) {
      const auth = await authenticate().catch((error: unknown) => {
        const cause = new Error(`client credentials: ${errorCode(error)}`)
        throw new ProviderError('provider_unavailable', endpoint, { unsent: true, cause })
      })
      return calls.send(endpoint, rule, (http) => request(auth, http))
    },

    async read(endpoint, response) {
      try {
        return await readAnswer(endpoint, response)
      } catch (error) {
        if (error instanceof ProviderError && error.reason === 'provider_refused_client') {
          log.error(
            { endpoint, cause: causeOf(error) },
            'the provider refuses this client: check clientId, its secret or key, clientAuthentication, and the ' +
              'redirect URI and scopes that are registered there',
          )
        }
        throw error
      }
    },

    async credentialProblems() {
      const key = provider.clientAuthentication === 'private_key_jwt' ? 'privateKey' : 'clientSecret'
      if (typeof provider[key] === 'function') return []
      const wrong = {
        clientSecret: 'is missing',
        privateKey: 'is not a private key: a JWK or a PKCS#8 PEM; RSA, P-256, P-384 or Ed25519',
      }
      return authenticate().then(
        () => [],
        () => [{ path: ['provider', key], problem: wrong[key] }],
      )
    },
  }
  return calls
}
