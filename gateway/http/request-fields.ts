import { FieldRules } from './fields.ts'

/** Fields of a request. */
export const MAX_FIELDS = 100
/** Of a request's target, names and values together. Node's HTTP/1.1 parser counts the same (`maxHeaderSize`). */
export const MAX_HEADER_BYTES = 16 * 1024

/**
 * What to do with a request field.
 * `pass`: to the upstream as it came · `drop`: never, silently · `hop`: never, and `Connection` may name it ·
 * the rest: read by `RequestHeaders`.
 */
export type RequestFieldUse =
  | 'pass'
  | 'drop'
  | 'hop'
  | 'connection'
  | 'content-length'
  | 'cookie'
  | 'host'
  | 'origin'
  | 'te'
  | 'traceparent'
  | 'transfer-encoding'
  | 'upgrade'
  | 'x-forwarded-for'
  | 'x-request-id'

/** `once`: a bit of its own for a field that may not be repeated, else 0. */
export interface RequestFieldRule {
  readonly use: RequestFieldUse
  readonly once: number
}

const PASS: RequestFieldRule = { use: 'pass', once: 0 }
const DROP: RequestFieldRule = { use: 'drop', once: 0 }
const HOP: RequestFieldRule = { use: 'hop', once: 0 }

const singletons: readonly (readonly [name: string, use: RequestFieldUse])[] = [
  ['host', 'host'],
  ['content-length', 'content-length'],
  ['transfer-encoding', 'transfer-encoding'],
  ['origin', 'origin'],
  ['upgrade', 'upgrade'],
  ['traceparent', 'traceparent'],
  ['expect', 'hop'],
  // The credential of this hop, and what is bound to it.
  ['authorization', 'drop'],
  ['dpop', 'drop'],
  ['x-gw-csrf', 'drop'],
  ['sec-websocket-key', 'drop'],
  ['sec-websocket-version', 'drop'],
  ['content-type', 'pass'],
  ['referer', 'pass'],
  ['user-agent', 'pass'],
  ['range', 'pass'],
  ['if-match', 'pass'],
  ['if-none-match', 'pass'],
  ['if-modified-since', 'pass'],
  ['if-unmodified-since', 'pass'],
  ['if-range', 'pass'],
]

const named = new Map<string, RequestFieldRule>([
  ...singletons.map(([name, use], bit) => [name, { use, once: 1 << bit }] as const),
  ['connection', { use: 'connection', once: 0 }],
  ['cookie', { use: 'cookie', once: 0 }],
  ['te', { use: 'te', once: 0 }],
  ['x-forwarded-for', { use: 'x-forwarded-for', once: 0 }],
  ['x-request-id', { use: 'x-request-id', once: 0 }],
  ...['keep-alive', 'proxy-connection', 'trailer', 'http2-settings'].map((name) => [name, HOP] as const),
  ...[
    // What other proxies say about the client, and what makes a server see another request than ours.
    'forwarded',
    'x-real-ip',
    'true-client-ip',
    'client-ip',
    'x-client-ip',
    'x-cluster-client-ip',
    'fastly-client-ip',
    'x-rewrite-url',
    'x-http-method',
    'x-http-method-override',
    'x-method-override',
  ].map((name) => [name, DROP] as const),
])

const DROPPED_PREFIX =
  /^(?:x-forwarded-|x-original-|x-envoy-|x-middleware-|x-auth|x-user|x-remote-|x-webauth-|remote-|cf-|x-amzn-|proxy-|sec-websocket-)/
const TOKEN = /^[!#$%&'*+\-.^`|~0-9A-Za-z]+$/

/**
 * The rules of requirements Appendix C, and `identityHeaders` of every upstream.
 *
 * A name that holds `_` is always dropped: CGI-like servers read it as the name with `-`.
 * @param identityHeaders lower-case names that only we may set.
 */
export function requestFieldRules(identityHeaders: Iterable<string>): FieldRules<RequestFieldRule> {
  const identity = new Set(identityHeaders)
  return new FieldRules((spelling) => {
    if (!TOKEN.test(spelling)) return DROP
    const name = spelling.toLowerCase()
    if (identity.has(name)) return DROP
    return named.get(name) ?? (DROPPED_PREFIX.test(name) ? DROP : PASS)
  })
}

/** Families of fields to which HTTP, a browser or we give a meaning. */
const RESERVED_PREFIX =
  /^(?:proxy-|content-|x-forwarded-|x-http-method|x-original-|if-|accept|sec-|access-control-)/
/** Of single fields, those that the table above lets pass or drops for another reason. */
const RESERVED = new Set(['set-cookie', 'via', 'forwarded', 'x-method-override', 'x-rewrite-url'])

/**
 * True for a field that an identity header may not be called: one that frames, routes or authenticates the message, or
 * that is more than a word about the user. What is dropped only because a client could pretend with it is free.
 *
 * @param name lower-case.
 */
export function isReservedField(name: string): boolean {
  if (RESERVED.has(name) || RESERVED_PREFIX.test(name)) return true
  const rule = named.get(name)
  return rule !== undefined && (rule.use !== 'drop' || rule.once !== 0) && !FREE.has(name)
}

/** Ordinary fields of a request. They pass, so a claim that is sent in one replaces the client's own. */
const FREE = new Set(['referer', 'user-agent'])
