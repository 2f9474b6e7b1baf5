import type { UpstreamError, UpstreamReason } from './upstream-error.ts'

const UNTRUSTED = 'its certificate is signed by nobody who is trusted here: name its CA in upstreams[].caFile'

/** By the code of the network, of TLS or of the parser. */
const byCode: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket: start it, or correct upstreams[].target',
  EACCES: 'this user may not open the socket: change its owner or mode',
  ECONNREFUSED: 'nothing listens there: start it, or correct upstreams[].target',
  ENOTFOUND: 'the name is not known: correct upstreams[].target, or the DNS of this machine',
  EAI_AGAIN: 'the DNS of this machine does not answer',
  EHOSTUNREACH: 'there is no way there: look at routes and firewalls',
  ENETUNREACH: 'there is no way there: look at routes and firewalls',
  EMFILE: 'this process has no descriptors left: raise its limit (ulimit -n)',
  EADDRNOTAVAIL:
    'this machine has no port left for another connection: use more targets, or longer connections',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  CERT_HAS_EXPIRED: 'its certificate has expired: renew it',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: look at the clocks',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'its certificate is for another name: use a name of the certificate in upstreams[].target',
  EPROTO:
    'it does not speak TLS there, or no version that is allowed here: is it http:// in upstreams[].target?',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS there: is it http:// in upstreams[].target?',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS there: is it http:// in upstreams[].target?',
  UND_ERR_HEADERS_OVERFLOW: 'the header of its answer is too large',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'its answer is not as long as it has announced',
}

const byReason: Readonly<Record<UpstreamReason, string>> = {
  no_connection:
    'all its connections were in use for upstreams[].timeouts.connectMs: raise upstreams[].connections',
  connect_failed: 'it could not be reached',
  connect_timeout:
    'nobody has answered within upstreams[].timeouts.connectMs: look at firewalls, and whether it is up',
  connection_lost:
    'it has closed the connection before its answer was whole: look at its log, and its own timeouts',
  headers_timeout:
    'it has not answered within upstreams[].timeouts.headersMs: look at its log, or raise that',
  body_timeout: 'it has paused in its answer for upstreams[].timeouts.idleMs: look at its log, or raise that',
  answer_malformed:
    'its answer breaks the rules of HTTP/1.1 or WebSocket: is it another port, or https:// in upstreams[].target?',
}

/** What an operator can do about a failed upstream, in a sentence of which the target is the subject. */
export function remedyFor({ reason, cause }: UpstreamError): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return byCode[code] ?? byReason[reason]
}
