import { ProviderError } from '../../oauth/errors.ts'
import type { ResolvedProvider } from '../../options/resolved.ts'
import { decodeContent, isReadableCoding } from './content-coding.ts'
import { errorCode, isConnectError, type ProviderDispatcher } from './network.ts'
import { type ResponseReceiver, UndiciHandler } from './undici-handler.ts'

/** Largest answer that is read, in bytes (F-09). */
const MAX_BYTES = {
  discovery: 262_144,
  jwks: 262_144,
  par: 65_536,
  token: 65_536,
  userinfo: 65_536,
  revocation: 65_536,
  client_document: 65_536,
} as const

/** GitHub, for one, answers nobody without a name. */
const EVERY_REQUEST = {
  accept: 'application/json',
  'accept-encoding': 'identity',
  'user-agent': 'fastify-pkce',
}

/**
 * The provider's endpoints as they are called, each with its own limit, and all but discovery with a breaker. The
 * description of an app is no provider's, and is fetched with the same care.
 */
export type EndpointName = keyof typeof MAX_BYTES

/** One request: a GET, or a POST if there is a body. */
export interface ProviderRequest {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

/** A response as it came, whole. */
export interface ProviderResponse {
  readonly status: number
  /** The `Content-Type` header, empty where there is none. */
  readonly contentType: string
  readonly text: string
  /** The header, names and values in turn. */
  readonly fields?: readonly string[]
}

/**
 * Sends one request: deadlines for the head, the body and the whole (F-08), a size cap while reading and after
 * decompression, which nobody has asked for (F-09), no redirects (F-04).
 *
 * @throws ProviderError `provider_unavailable` when there is no answer or it is 5xx or 429,
 * `provider_answer_invalid` when it cannot be read.
 */
export function sendRequest(
  endpoint: EndpointName,
  dispatcher: ProviderDispatcher,
  timeouts: ResolvedProvider['timeouts'],
  { url, headers, body }: ProviderRequest,
): Promise<ProviderResponse> {
  return new Promise((resolve, reject) => {
    const pending = new PendingResponse(endpoint, timeouts.totalMs, resolve, reject)
    dispatcher.dispatch(
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method: body === undefined ? 'GET' : 'POST',
        headers: { ...EVERY_REQUEST, ...headers },
        body: body ?? null,
        headersTimeout: timeouts.headersMs,
        bodyTimeout: timeouts.bodyMs,
      },
      pending.handler,
    )
  })
}

/** Joins the response together as it comes; of several outcomes the first one counts. */
class PendingResponse implements ResponseReceiver {
  readonly handler = new UndiciHandler(this)
  readonly #endpoint: EndpointName
  readonly #resolve: (answer: ProviderResponse) => void
  readonly #reject: (error: ProviderError) => void
  readonly #deadline: NodeJS.Timeout
  #isLate = false
  #status = 0
  #contentType = ''
  #fields: readonly string[] = []
  #coding = ''
  readonly #chunks: Buffer[] = []
  #length = 0

  constructor(
    endpoint: EndpointName,
    totalMs: number,
    resolve: (answer: ProviderResponse) => void,
    reject: (error: ProviderError) => void,
  ) {
    this.#endpoint = endpoint
    this.#resolve = resolve
    this.#reject = reject
    // A process that stood still reads what has arrived meanwhile first: tokens that nobody reads, nobody revokes.
    this.#deadline = setTimeout(() => setImmediate(() => this.#giveUp()), totalMs)
  }

  onConnection(): void {
    // It was in a queue for a connection, where undici cannot be told to forget it.
    if (this.#isLate) throw new Error('late')
  }

  onHead(status: number, fields: readonly string[]): void {
    this.#status = status
    this.#fields = fields
    this.#contentType = field(fields, 'content-type') ?? ''
    if (status >= 500 || status === 429 || status === 408)
      this.#fail('provider_unavailable', `status ${status}`)
    this.#coding = (field(fields, 'content-encoding') ?? '').trim().toLowerCase()
    if (!isReadableCoding(this.#coding)) this.#fail('provider_answer_invalid', 'content-encoding')
  }

  onBody(chunk: Buffer): boolean {
    this.#length += chunk.length
    if (this.#length <= MAX_BYTES[this.#endpoint]) this.#chunks.push(chunk)
    else {
      this.#fail('provider_answer_invalid', 'answer too large')
      this.handler.abort()
    }
    return true
  }

  onEnd(): void {
    clearTimeout(this.#deadline)
    const text = this.#decode(Buffer.concat(this.#chunks, this.#length))
    if (text === undefined) return
    this.#resolve({ status: this.#status, contentType: this.#contentType, text, fields: this.#fields })
  }

  #decode(body: Buffer): string | undefined {
    try {
      return utf8.decode(decodeContent(body, this.#coding, MAX_BYTES[this.#endpoint]))
    } catch (error) {
      this.#fail('provider_answer_invalid', `content-encoding: ${errorCode(error)}`)
      return undefined
    }
  }

  onError(error: Error): void {
    clearTimeout(this.#deadline)
    this.#reject(transportError(this.#endpoint, error))
  }

  #giveUp(): void {
    this.#isLate = true
    this.#reject(transportError(this.#endpoint, new DOMException('no answer in time', 'TimeoutError')))
    this.handler.abort()
  }

  #fail(reason: 'provider_unavailable' | 'provider_answer_invalid', what: string): void {
    this.#reject(new ProviderError(reason, this.#endpoint, { cause: new Error(what) }))
  }
}

/** Without a byte order mark, which JSON may not have and some send. */
const utf8 = new TextDecoder()

/** A header field of a response (RFC 9110 §5.3); undefined where it is absent. */
export function responseField(
  { fields = [] }: Pick<ProviderResponse, 'fields'>,
  name: string,
): string | undefined {
  return field(fields, name)
}

/** A field in a flat list of names and values; several of one name are joined (RFC 9110 §5.3). */
function field(fields: readonly string[], name: string): string | undefined {
  let found: string | undefined
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (fields[i]!.length !== name.length || fields[i]!.toLowerCase() !== name) continue
    found = found === undefined ? fields[i + 1]! : `${found}, ${fields[i + 1]}`
  }
  return found
}

/** What undici says of an answer that is no HTTP. The parser's errors have codes of their own, and some have none. */
const NOT_HTTP = /^(?:HPE_.*|HTTPParserError|UND_ERR_HEADERS_OVERFLOW|UND_ERR_RES_CONTENT_LENGTH_MISMATCH)$/

/** Only the code of the cause is kept: undici's errors can carry addresses, headers and bodies. */
function transportError(endpoint: string, error: unknown): ProviderError {
  const code = errorCode(error)
  return new ProviderError(
    NOT_HTTP.test(code) ? 'provider_answer_invalid' : 'provider_unavailable',
    endpoint,
    {
      cause: new Error(code),
      unsent: isConnectError(error),
    },
  )
}
