import { isIPv4, isIPv6 } from 'node:net'
import { normalizeIP } from '@fastify/rate-limit'

/** How a socket that takes both versions writes an IPv4 address (RFC 4291 §2.5.5.2). */
const MAPPED = '::ffff:'
/** Some proxies write the port of the connection too. */
const WITH_PORT = /^(?:\[([^\]]+)\]|([0-9.]+))(?::[0-9]+)?$/

/**
 * The address that limits count by: an IPv6 one by its /64, since one subscriber has all of that, and one for
 * everybody where there is none: a unix socket, a connection already gone, or words in the place of an address
 * in what a trusted proxy passed on.
 *
 * Source: requirements A-20, J-05.
 */
export function limitedAddress(request: { readonly ip: string | undefined }): string {
  const { ip = '' } = request
  // The common spellings first, since the rest costs ten times as much.
  const plain = ip.startsWith(MAPPED) ? ip.slice(MAPPED.length) : ip
  if (isIPv4(plain)) return plain
  const [, v6, v4] = WITH_PORT.exec(ip) ?? []
  const address = v6 ?? v4 ?? ip
  return isIPv6(address) ? normalizeIP(address) : isIPv4(address) ? address : 'unknown'
}
