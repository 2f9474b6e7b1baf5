import { isIPv4, isIPv6 } from 'node:net'
import { normalizeIP } from '@fastify/rate-limit'
import type { FastifyBaseLogger } from 'fastify'

const warned = new WeakSet<object>()

/**
 * Says once in a log that `X-Forwarded-For` is ignored. Behind a proxy that is not trusted all users have one address,
 * and share its limits.
 *
 * @param address of the peer. Source: requirements J-05.
 */
export function warnOfUntrustedProxy(
  log: Pick<FastifyBaseLogger, 'warn'>,
  address: string | undefined,
): void {
  if (warned.has(log)) return
  warned.add(log)
  log.warn(
    { address },
    'X-Forwarded-For came from an address that trustProxy does not name, and is ignored. If that is your proxy, name it in trustProxy: until then all its users count as one, and share one limit.',
  )
}

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
  const address = withoutPort(ip)
  return isIPv6(address) ? normalizeIP(address) : isIPv4(address) ? address : 'unknown'
}

/** An address as a proxy writes it, e.g. `203.0.113.9:40000` or `[2001:db8::1]:443`, without its port and brackets. */
export function withoutPort(written: string): string {
  const [, v6, v4] = WITH_PORT.exec(written) ?? []
  return v6 ?? v4 ?? written
}
