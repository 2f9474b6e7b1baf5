import type { FastifyRequest } from 'fastify'
import { type FormParameters, parseForm } from '../oauth/form.ts'

/** The query as received, without its question mark: frameworks decode leniently and merge repeats (P-7). */
export function rawQuery(request: FastifyRequest): string {
  const url = request.raw.url ?? ''
  const start = url.indexOf('?')
  return start === -1 ? '' : url.slice(start + 1)
}

/** The query's parameters, strictly. @throws OAuthError as `parseForm`. */
export function queryParameters(request: FastifyRequest): FormParameters {
  return parseForm(rawQuery(request))
}
