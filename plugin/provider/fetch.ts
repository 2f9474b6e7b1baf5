import { ProviderError } from '../errors.ts'
import type { ResolvedProvider } from '../options/resolved.ts'
import { ConnectError, errorCode, type ProviderDispatcher } from './network.ts'

/** Largest answer that is read, in bytes (F-09). */
const MAX_BYTES = {
  discovery: 262_144,
  jwks: 262_144,
  par: 65_536,
  token: 65_536,
  userinfo: 65_536,
  revocation: 65_536,
} as const

/** Statuses that a `Response` takes no body with. */
const NULL_BODY = [204, 205, 304]

/** The provider's endpoints as they are called, each with its own limit and breaker. */
export type EndpointName = keyof typeof MAX_BYTES
/** @see EndpointName */
export const endpointNames = Object.keys(MAX_BYTES) as EndpointName[]

/** The part of `fetch` that oauth4webapi uses. */
export type ProviderFetch = (
  url: string,
  request: { method: string; headers: Record<string, string>; body?: unknown },
) => Promise<Response>

/**
 * A `fetch` for one endpoint over `dispatcher.request`: deadlines for the head, the body and the whole (F-08), a
 * size cap while reading, nothing compressed (F-09), no redirects (F-04).
 *
 * @throws ProviderError `provider_unavailable` when there is no answer or it is 5xx or 429,
 * `provider_answer_invalid` when it cannot be read.
 */
export function createFetch(
  endpoint: EndpointName,
  dispatcher: ProviderDispatcher,
  timeouts: ResolvedProvider['timeouts'],
): ProviderFetch {
  return async (url, { method, headers, body }) => {
    const { origin, pathname, search } = new URL(url)
    const deadline = new AbortController()
    // A process that stood still reads what has arrived meanwhile first: tokens that nobody reads, nobody revokes.
    const timer = setTimeout(() => setImmediate(() => deadline.abort()), timeouts.totalMs)
    try {
      const request = dispatcher.request({
        origin,
        path: pathname + search,
        method: method as 'GET' | 'POST',
        headers: { ...headers, 'accept-encoding': 'identity' },
        body: body instanceof URLSearchParams ? body.toString() : null,
        headersTimeout: timeouts.headersMs,
        bodyTimeout: timeouts.bodyMs,
        signal: deadline.signal,
      })
      // undici looks at the signal of a request that waits for a connection only once there is one.
      const answer = await Promise.race([request, aborted(deadline.signal)])
      // A body that is given up is destroyed, and says so with an error that is nobody's news.
      answer.body.on('error', () => {})
      const refused = unreadable(endpoint, answer.statusCode, answer.headers['content-encoding'])
      if (refused) {
        void answer.body.dump().catch(() => {})
        throw refused
      }
      const text = await readText(answer.body, MAX_BYTES[endpoint], endpoint)
      return new Response(NULL_BODY.includes(answer.statusCode) ? null : text, {
        status: answer.statusCode,
        headers: { 'content-type': String(answer.headers['content-type'] ?? '') },
      })
    } catch (error) {
      throw error instanceof ProviderError ? error : transportError(endpoint, error)
    } finally {
      clearTimeout(timer)
    }
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

/** What the head of an answer already says against reading it. */
function unreadable(
  endpoint: string,
  status: number,
  encoding: string | string[] = 'identity',
): ProviderError | undefined {
  if (status >= 500 || status === 429 || status === 408) {
    return new ProviderError('provider_unavailable', endpoint, { cause: new Error(`status ${status}`) })
  }
  if (encoding === 'identity') return undefined
  return new ProviderError('provider_answer_invalid', endpoint, { cause: new Error('content-encoding') })
}

async function readText(body: AsyncIterable<Buffer>, maxBytes: number, endpoint: string): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    // Leaving the loop destroys the body, and with it the connection.
    if (length > maxBytes) {
      throw new ProviderError('provider_answer_invalid', endpoint, { cause: new Error('answer too large') })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** What undici says of an answer that is no HTTP. The parser's errors have codes of their own, and some have none. */
const NOT_HTTP = /^(?:HPE_.*|HTTPParserError|UND_ERR_HEADERS_OVERFLOW|UND_ERR_RES_CONTENT_LENGTH_MISMATCH)$/

/** Only the code of the cause is kept: undici's errors can carry addresses, headers and bodies. */
function transportError(endpoint: string, error: unknown): ProviderError {
  const code = errorCode(error)
  const nonsense = NOT_HTTP.test(code) || error instanceof RangeError
  return new ProviderError(nonsense ? 'provider_answer_invalid' : 'provider_unavailable', endpoint, {
    cause: new Error(code),
    unsent: error instanceof ConnectError,
  })
}
