import type { IncomingMessage } from 'node:http'
import type { FieldRules } from '../../http/fields.ts'
import { asksForWebSocket, connectionOptions, removeFields } from '../../http/fields.ts'
import type { Refusal } from '../../http/refusals.ts'
import {
  MAX_FIELDS,
  MAX_HEADER_BYTES,
  type RequestFieldRule,
  type RequestFieldUse,
} from '../../http/request-fields.ts'

const MAX_REQUEST_ID_LENGTH = 64
/** W3C Trace Context §3.2.2: version ff and ids of zeros are invalid. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/**
 * The header of a request, read once over the raw fields: what may pass, and what the gateway must know.
 *
 * Nothing is decided here. `framing` and `fault` say what is wrong; each check reads them when it is due.
 * Source: RFC 9110 §7.6.1, RFC 9112 §6.1; requirements H-12 to H-14, H-20, Appendix C.
 */
export class RequestHeaders {
  /** Flat list of the fields that may go to an upstream. The caller appends its own. */
  readonly passed: string[] = []
  /** What makes the message itself doubtful: refused for every route. */
  framing: Refusal | null = null
  /** What a forwarded request may not have. */
  fault: Refusal | null = null

  host: string | undefined = undefined
  origin: string | undefined = undefined
  /** Values of all Cookie fields, joined with `; `. */
  cookie: string | undefined = undefined
  forwardedFor: string | undefined = undefined
  /** Of valid syntax. */
  traceparent: string | undefined = undefined
  /** The client's own, bounded; ours is another. */
  clientRequestId: string | undefined = undefined
  /** -1: none was sent. */
  contentLength = -1
  chunked = false
  acceptsTrailers = false
  upgrade = false
  websocket = false

  #seen = 0
  #connection: string | undefined = undefined
  readonly #rules: FieldRules<RequestFieldRule>

  constructor(request: IncomingMessage, rules: FieldRules<RequestFieldRule>) {
    this.#rules = rules
    const { rawHeaders, httpVersion } = request
    let bytes = request.url?.length ?? 0
    if (rawHeaders.length > MAX_FIELDS * 2) this.framing = 'head_too_large'
    if (httpVersion !== '1.1' && httpVersion !== '1.0') this.framing ??= 'http_version'
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i]!
      const value = rawHeaders[i + 1]!
      bytes += name.length + value.length
      const rule = rules.of(name)
      if (rule.once !== 0) this.#once(rule)
      if (rule.use === 'pass') this.passed.push(name, value)
      else if (rule.use !== 'drop' && rule.use !== 'hop') this.#read(rule.use, value)
    }
    // A parser of HTTP/2 holds no limit that its client has not acknowledged (RFC 9113 §6.5.3).
    if (bytes >= MAX_HEADER_BYTES) this.framing = 'head_too_large'
    if (this.chunked && (httpVersion === '1.0' || this.contentLength !== -1)) this.framing ??= 'framing'
    const options = connectionOptions(this.#connection)
    if (options.length > 0) this.#dropNamed(options)
  }

  /** True if a body follows the header. */
  get hasBody(): boolean {
    return this.chunked || this.contentLength > 0
  }

  #once(rule: RequestFieldRule): void {
    if ((this.#seen & rule.once) !== 0) {
      this.fault ??= 'field_repeated'
      if (rule.use === 'host') this.framing ??= 'host_malformed'
      if (rule.use === 'content-length' || rule.use === 'transfer-encoding') this.framing ??= 'framing'
    }
    this.#seen |= rule.once
  }

  #read(use: RequestFieldUse, value: string): void {
    switch (use) {
      case 'host':
        this.host = value
        break
      case 'connection':
        this.#connection = joined(this.#connection, value, ',')
        break
      case 'content-length':
        this.contentLength = Number(value)
        if (!/^\d+$/.test(value) || !Number.isSafeInteger(this.contentLength)) this.framing ??= 'framing'
        break
      case 'transfer-encoding':
        this.chunked = true
        if (value.toLowerCase() !== 'chunked') this.framing ??= 'framing'
        break
      case 'cookie':
        this.cookie = joined(this.cookie, value, '; ')
        break
      case 'origin':
        this.origin = value
        this.passed.push('origin', value)
        break
      case 'te':
        this.acceptsTrailers = value.toLowerCase() === 'trailers'
        break
      case 'traceparent':
        if (!TRACEPARENT.test(value)) break
        this.traceparent = value
        this.passed.push('traceparent', value)
        break
      case 'upgrade':
        this.upgrade = true
        this.websocket = asksForWebSocket(value)
        break
      case 'x-forwarded-for':
        this.forwardedFor = joined(this.forwardedFor, value, ', ')
        break
      case 'x-request-id':
        this.clientRequestId = value.slice(0, MAX_REQUEST_ID_LENGTH)
        break
    }
  }

  /**
   * Removes the fields that `Connection` names, before ours are added. Naming one that the gateway sets, reads
   * or needs is an attempt to have it removed (CVE-2026-33805), so it is a fault.
   */
  #dropNamed(options: readonly string[]): void {
    const names: string[] = []
    for (const option of options) {
      const { use } = this.#rules.of(option)
      if (use === 'pass' && !option.startsWith('content-')) names.push(option)
      else if (use !== 'hop' && use !== 'te' && use !== 'upgrade') this.fault ??= 'connection_protected'
    }
    removeFields(this.passed, names)
  }
}

function joined(before: string | undefined, value: string, separator: string): string {
  return before === undefined ? value : before + separator + value
}
