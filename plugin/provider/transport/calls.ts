import { ProviderError } from '../../oauth/errors.ts'
import { formatForm } from '../../oauth/form.ts'
import type { ResolvedProvider } from '../../options/resolved.ts'
import type { CallEnd, Observer } from '../../options/types/observer.ts'
import type { ClientAuthentication, ClientCredentials } from '../authentication/client-authentication.ts'
import { adviceOn, adviceOnClient } from '../refusals/advice.ts'
import { type Breaker, createBreaker } from './breaker.ts'
import { errorCode, type ProviderDispatcher } from './network.ts'
import { type EndpointName, type ProviderRequest, type ProviderResponse, sendRequest } from './request.ts'
import { type JsonObject, readResponse, refusesClient } from './response.ts'
import { type Pause, type RetryRule, withRetries } from './retry.ts'

/** What the provider client writes to: pino, or anything with its three methods. */
export type ProviderLog = Record<'info' | 'warn' | 'error', (fields: object, message: string) => void>

/** Every request to the provider goes through here: breaker, retry rule, limits, and client authentication. */
export interface Calls {
  /** Asks for JSON, under the endpoint's breaker. @throws ProviderError */
  get(
    endpoint: EndpointName,
    rule: RetryRule,
    url: URL,
    headers?: Readonly<Record<string, string>>,
  ): Promise<ProviderResponse>
  /**
   * Posts a form with our client authentication, which is asked for anew at each call, and once more when it has been
   * refused: if the secret has been rotated meanwhile, the form goes out again with the new one (F-06).
   *
   * @throws ProviderError
   */
  post(
    endpoint: EndpointName,
    rule: RetryRule,
    url: URL,
    parameters: Readonly<Record<string, string>>,
  ): Promise<ProviderResponse>
  /** Reads a response of the token or PAR endpoint; that our client is refused is told to the operator. */
  read(endpoint: EndpointName, response: ProviderResponse, isRefresh?: boolean): JsonObject
}

/** The code behind a failure, for a log line: never a message, which can quote what was sent. */
export function causeOf(error: unknown): string {
  if (!(error instanceof ProviderError)) return errorCode(error)
  return error.cause instanceof Error ? error.cause.message : error.reason
}

/** A form and who we are in it. */
interface Form {
  readonly url: URL
  readonly parameters: Readonly<Record<string, string>>
  readonly credentials: ClientCredentials
}

/** No such address, or another use of it (RFC 9110 §15.5.5, §15.5.6): so answers an endpoint that has moved. */
const MOVED = [404, 405]

/**
 * @see Calls
 * @param suspectMove is told of a failure of an endpoint by which it may have moved: 404, 405, or no connection.
 */
export function createCalls(options: {
  provider: ResolvedProvider
  /** Our redirect URI. */
  callbackUrl: string
  authentication: ClientAuthentication
  dispatcher: ProviderDispatcher
  log: ProviderLog
  now: () => number
  pause: Pause
  suspectMove: () => void
  observer: Observer
}): Calls {
  const { provider, callbackUrl, authentication, dispatcher, log, now, pause, suspectMove, observer } =
    options
  const { issuer } = provider
  const registration = { provider, callbackUrl }
  const breakers = new Map<EndpointName, { readonly address: string; readonly run: Breaker }>()

  function send(
    endpoint: EndpointName,
    rule: RetryRule,
    request: ProviderRequest,
  ): Promise<ProviderResponse> {
    const { url, body } = request
    const method = body === undefined ? 'GET' : 'POST'
    const call = () =>
      observed(
        observer.providerCall({ issuer, endpoint, method, url }),
        sendRequest(endpoint, dispatcher, provider.timeouts, request),
      )
    // It has a pace of its own. A breaker besides would keep out the first login after an outage (M-06).
    if (endpoint === 'discovery') return withRetries(rule, pause, call)
    return breakerAt(endpoint, method, url)(() => withRetries(rule, pause, () => watched(call)))
  }

  function credentialsFor(endpoint: EndpointName): Promise<ClientCredentials> {
    return authentication.credentials().catch((error: unknown) => {
      const cause = new Error(`client credentials: ${errorCode(error)}`)
      throw new ProviderError('provider_unavailable', endpoint, { unsent: true, cause })
    })
  }

  function sendForm(endpoint: EndpointName, rule: RetryRule, form: Form): Promise<ProviderResponse> {
    const { url, parameters, credentials } = form
    const headers = {
      'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
      ...credentials.headers,
    }
    const body = formatForm({ ...parameters, ...credentials.parameters })
    return send(endpoint, rule, { url, headers, body })
  }

  /** An endpoint that has moved begins anew: the failures were those of its old address. */
  function breakerAt(endpoint: EndpointName, method: 'GET' | 'POST', url: URL): Breaker {
    const { href } = url
    const known = breakers.get(endpoint)
    if (known?.address === href) return known.run
    const run = createBreaker(endpoint, now, {
      onState: (isOpen) => observer.breaker({ issuer, endpoint }, isOpen),
      onRefusal: () => observer.providerCall({ issuer, endpoint, method, url })('not_made'),
    })
    observer.breaker({ issuer, endpoint }, false)
    breakers.set(endpoint, { address: href, run })
    return run
  }

  async function watched(call: () => Promise<ProviderResponse>): Promise<ProviderResponse> {
    try {
      const response = await call()
      if (MOVED.includes(response.status)) suspectMove()
      return response
    } catch (error) {
      if (error instanceof ProviderError && error.unsent) suspectMove()
      throw error
    }
  }

  return {
    get(endpoint, rule, url, headers = {}) {
      return send(endpoint, rule, { url, headers })
    },

    async post(endpoint, rule, url, parameters) {
      const credentials = await credentialsFor(endpoint)
      const response = await sendForm(endpoint, rule, { url, parameters, credentials })
      // It has judged us, and not yet what we asked for (RFC 6749 §5.2): so nothing is used up.
      if (!refusesClient(response)) return response
      const rotated = await credentialsFor(endpoint)
      return rotated.madeOf === credentials.madeOf
        ? response
        : sendForm(endpoint, rule, { url, parameters, credentials: rotated })
    },

    read(endpoint, response, isRefresh) {
      try {
        return readResponse(endpoint, response, isRefresh)
      } catch (error) {
        if (error instanceof ProviderError && error.reason === 'provider_refused_client') {
          log.error(
            { endpoint, cause: causeOf(error) },
            `the provider refuses this client: ${adviceOn(error.words, registration) ?? adviceOnClient(registration)}`,
          )
        } else if (
          error instanceof ProviderError &&
          error.reason === 'provider_refused_grant' &&
          !isRefresh
        ) {
          // Mostly a code that was used or is too old; what a new installation sees here is a mistake in it.
          const advice = adviceOn(error.words, registration)
          log.warn(
            { endpoint, cause: causeOf(error) },
            `the provider refuses its code: ${advice ?? 'it was used, or is too old'}`,
          )
        }
        throw error
      }
    },
  }
}

/** Tells how the call ends, and gives what it gives. */
async function observed(end: CallEnd, call: Promise<ProviderResponse>): Promise<ProviderResponse> {
  try {
    const response = await call
    end(response.status < 300 ? 'ok' : 'refused', response.status)
    return response
  } catch (error) {
    const isProviders = error instanceof ProviderError
    if (isProviders && error.unsent) end('unreachable')
    else end(isProviders && error.reason === 'provider_answer_invalid' ? 'invalid' : 'failed')
    throw error
  }
}
