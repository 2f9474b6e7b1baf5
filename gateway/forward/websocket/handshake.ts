import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { asksForWebSocket } from '../../http/fields.ts'
import type { Refusal } from '../../http/refusals.ts'
import { leavesHttp } from '../../listener/http1-request.ts'
import type { RequestHeaders } from '../headers/request-headers.ts'
import type { UpstreamRoute } from '../upstream/route.ts'

/** Base64 of 16 bytes. */
const KEY = /^[A-Za-z0-9+/]{22}==$/
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** What an answer says to a client of another version (RFC 6455 §4.4, RFC 9110 §15.5.22). */
export const VERSION_FIELDS = { upgrade: 'websocket', connection: 'upgrade', 'sec-websocket-version': '13' }

/**
 * Browsers say where a script comes from, and let it open a WebSocket anywhere: so its origin must be listed. A
 * program that is no browser says nothing (RFC 6455 §10.2; requirements H-29). A route without WebSocket has its
 * own refusal later.
 */
export function isOriginAllowed(origin: string | undefined, { websocket }: UpstreamRoute): boolean {
  return websocket === false || origin === undefined || websocket.origins.includes(origin)
}

/**
 * Checks what RFC 6455 §4.2.1 asks of an opening handshake.
 *
 * @param request its repeated fields are judged by `headers.fault`.
 * @returns why it is refused, or null.
 */
export function refuseHandshake(request: IncomingMessage, headers: RequestHeaders): Refusal | null {
  const { 'sec-websocket-key': key = '', 'sec-websocket-version': version } = request.headers
  // `Upgrade` without `Connection: Upgrade` is for somebody else (RFC 9110 §7.8).
  if (!leavesHttp(request)) return 'websocket_malformed'
  if (request.method !== 'GET' || request.httpVersion !== '1.1' || headers.hasBody) {
    return 'websocket_malformed'
  }
  if (version !== '13') return 'websocket_version'
  return KEY.test(key) ? null : 'websocket_malformed'
}

/** The fields that negotiate the connection end to end, as a flat list: key, version, subprotocols, extensions. */
export function handshakeFields({ headers }: IncomingMessage): string[] {
  const fields: string[] = []
  for (const name of NEGOTIATION) {
    const value = headers[name]
    if (typeof value === 'string') fields.push(name, value)
  }
  return fields
}

const NEGOTIATION = [
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
]

/**
 * True if the upstream's 101 accepts just this handshake. Anything else is not passed on: a tunnel through which
 * HTTP still runs would let the client reach what its session may not.
 *
 * @param received the header of the response, names and values in turn.
 * Source: RFC 6455 §4.1 (what a client checks), requirements H-29.
 */
export function isHandshakeAccepted(received: readonly string[], { headers }: IncomingMessage): boolean {
  const answer = new Map<string, string>()
  for (let i = 0; i < received.length; i += 2) {
    const name = received[i]!.toLowerCase()
    const value = received[i + 1]!
    const before = answer.get(name)
    answer.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  const protocol = answer.get('sec-websocket-protocol')
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim())
  return (
    asksForWebSocket(answer.get('upgrade') ?? '') &&
    /(?:^|[\s,])upgrade(?:$|[\s,])/i.test(answer.get('connection') ?? '') &&
    answer.get('sec-websocket-accept') === acceptFor(headers['sec-websocket-key'] ?? '') &&
    (protocol === undefined || offered.includes(protocol)) &&
    (!answer.has('sec-websocket-extensions') || headers['sec-websocket-extensions'] !== undefined)
  )
}

/** The Sec-WebSocket-Accept value for a key (RFC 6455 §4.2.2). */
export function acceptFor(key: string): string {
  return createHash('sha1')
    .update(key + GUID)
    .digest('base64')
}
