import { isIP } from 'node:net'
import { normalizeIP } from '@fastify/rate-limit'

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
  const [, v6, v4] = WITH_PORT.exec(ip) ?? []
  const address = v6 ?? v4 ?? ip
  return isIP(address) === 0 ? 'unknown' : normalizeIP(address)
}
