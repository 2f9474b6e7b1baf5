import Value from 'typebox/value'
import type { ConfigProblem } from '../../../plugin/index.ts'
import type { GatewayInput, Http2Limits } from '../schemas/config.ts'
import { Http2Schema } from '../schemas/listen.ts'

/** Clients agree on HTTP/2 by TLS; nobody but proxies speaks it without (RFC 9113 §3.2, §3.3). */
export function http2Problems({ listen }: Pick<GatewayInput, 'listen'>): ConfigProblem[] {
  if (!listen?.http2 || listen.tls !== undefined) return []
  return [{ path: ['listen', 'http2'], problem: 'needs listen.tls: clients agree on HTTP/2 by TLS (ALPN)' }]
}

/** Its limits, with every default filled; false: off. */
export function completeHttp2(http2: boolean | Http2Limits): Http2Limits | false {
  return http2 === true ? (Value.Default(Http2Schema, {}) as Http2Limits) : http2
}
