import type { FastifyRequest } from 'fastify'

/** The query as received, without its question mark: frameworks decode leniently and merge repeats (P-7). */
export function rawQuery(request: FastifyRequest): string {
  const url = request.raw.url ?? ''
  const start = url.indexOf('?')
  return start === -1 ? '' : url.slice(start + 1)
}
