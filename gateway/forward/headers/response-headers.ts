import { connectionOptions, FieldRules, removeFields } from '../../http/fields.ts'
import type { UpstreamRoute } from '../upstream/route.ts'
import { UpstreamError } from '../upstream/upstream-error.ts'
import { isSetCookieAllowed } from './cookies.ts'
import { publicLocation } from './location.ts'

/** `pass`: to the client as it came · `drop`: never · `freshness`: unless our own Cache-Control replaces it. */
type ResponseFieldUse =
  | 'pass'
  | 'drop'
  | 'connection'
  | 'content-length'
  | 'content-type'
  | 'freshness'
  | 'location'
  | 'set-cookie'
  | 'transfer-encoding'

const named = new Map<string, ResponseFieldUse>([
  ['connection', 'connection'],
  ['content-length', 'content-length'],
  ['content-type', 'content-type'],
  ['transfer-encoding', 'transfer-encoding'],
  ['set-cookie', 'set-cookie'],
  ['location', 'location'],
  ['content-location', 'location'],
  ['cache-control', 'freshness'],
  ['expires', 'freshness'],
  ['pragma', 'freshness'],
  ...[
    'keep-alive',
    'trailer',
    'upgrade',
    'te',
    'www-authenticate',
    // Of an exchange between the client and us.
    'dpop-nonce',
    'strict-transport-security',
    'public-key-pins',
    'public-key-pins-report-only',
    'alt-svc',
    'clear-site-data',
    'server',
    'x-powered-by',
    'via',
    'x-request-id',
    // Orders to a web server in front of us to answer with something else.
    'x-sendfile',
  ].map((name) => [name, 'drop'] as const),
])
const DROPPED_PREFIX = /^(?:access-control-|proxy-|x-accel-)/

const rules = new FieldRules<ResponseFieldUse>((spelling) => {
  const name = spelling.toLowerCase()
  return named.get(name) ?? (DROPPED_PREFIX.test(name) ? 'drop' : 'pass')
})

/** The header of an upstream's answer, as the client gets it. */
export interface ResponseHead {
  /** Flat, for `writeHead`. The caller appends its own. */
  readonly fields: string[]
  /** Bytes of the body; -1: not announced. */
  readonly contentLength: number
  /** The body never ends by itself (HTML §9.2): an event stream whose length is not announced. */
  readonly isEventStream: boolean
}

const EVENT_STREAM = /^text\/event-stream\b/i

/**
 * What the client gets of the header of an upstream's response. Spelling and order stay as they are.
 *
 * @param received names and values in turn: taken over, for what remains of them is the result.
 * @param path what was asked of the upstream: the base of a relative `Location`.
 * @throws UpstreamError `answer_malformed` on contradicting framing.
 * Source: RFC 9110 §7.6.1, §15.5.2; requirements H-24, H-25, H-26.
 */
export function responseHead(
  received: string[],
  status: number,
  route: UpstreamRoute,
  path: string,
): ResponseHead {
  let contentLength = -1
  let announced = ''
  let framed = false
  let isEventStream = false
  let connection: string | undefined
  let kept = 0
  for (let i = 0; i < received.length; i += 2) {
    const name = received[i]!
    let value: string | null = received[i + 1]!
    switch (rules.of(name)) {
      case 'pass':
        break
      case 'content-length':
        if (contentLength !== -1 || !/^\d+$/.test(value)) throw new UpstreamError('answer_malformed')
        contentLength = Number(value)
        announced = value
        continue
      case 'transfer-encoding':
        framed = true
        continue
      case 'content-type':
        isEventStream = EVENT_STREAM.test(value)
        break
      case 'connection':
        connection = connection === undefined ? value : `${connection},${value}`
        continue
      case 'freshness':
        if (route.isPrivate) continue
        break
      case 'set-cookie':
        if (!isSetCookieAllowed(value, route.responseCookies)) continue
        break
      case 'location':
        value = publicLocation(value, path, route)
        if (value === null) continue
        break
      case 'drop':
        continue
    }
    received[kept++] = name
    received[kept++] = value
  }
  received.length = kept
  const fields = received
  if (framed && contentLength !== -1) throw new UpstreamError('answer_malformed')
  removeFields(fields, connectionOptions(connection))
  if (contentLength !== -1 && status !== 204) fields.push('content-length', announced)
  // The upstream refused the provider's token: not a reason for the app to drop its session here.
  if (status === 401) fields.push('www-authenticate', 'Bearer realm="upstream"')
  if (route.isPrivate) fields.push('cache-control', 'private, no-store', 'vary', 'Authorization, Cookie')
  return { fields, contentLength, isEventStream: isEventStream && contentLength === -1 }
}

/** The trailer of an answer: only what could pass in a header, and nothing that describes the body. */
export function responseTrailers(received: readonly string[]): [name: string, value: string][] {
  const trailers: [string, string][] = []
  for (let i = 0; i < received.length; i += 2) {
    const name = received[i]!
    if (rules.of(name) === 'pass' && !/^content-/i.test(name)) trailers.push([name, received[i + 1]!])
  }
  return trailers
}
