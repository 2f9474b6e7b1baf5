import { normalizeIP } from '@fastify/rate-limit'

/**
 * The address that limits count by: an IPv6 one by its /64, since one subscriber has all of that, and one for
 * everybody where the transport knows none (a unix socket, a connection already gone).
 *
 * Source: requirements A-20, J-05.
 */
export function limitedAddress(request: { readonly ip: string | undefined }): string {
  return request.ip === undefined ? 'unknown' : normalizeIP(request.ip)
}
