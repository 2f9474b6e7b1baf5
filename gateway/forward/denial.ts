import { OAuthError, type Pkce, StoreError } from '../../plugin/index.ts'
import { withResourceMetadata } from '../http/protected-resource.ts'
import { answerOAuthError } from '../listener/problem-details.ts'
import type { ClientRequest } from './client-request.ts'
import type { UpstreamRoute } from './upstream/route.ts'

/**
 * Answers a request whose session check failed: with its challenge (RFC 6750 §3), or with 503 when the store could
 * not say, or with 500. The check itself has recorded what it refused (J-04). Readable for the scripts of any
 * client: which one is not known.
 *
 * @param error what the check threw. @param route that the request was for. Source: requirements G-08, H-06.
 */
export function deny(
  error: unknown,
  sessions: Pick<Pkce, 'corsHeaders'>,
  request: ClientRequest,
  route: UpstreamRoute,
): void {
  const cors = sessions.corsHeaders(request.raw.headers.origin)
  if (error instanceof OAuthError) {
    answerOAuthError(request, error, { ...cors, ...challengeOf(error, route) })
    request.context.metrics?.refused(error.reason)
    request.ended(error.statusCode)
    return
  }
  const unavailable = error instanceof StoreError
  request.log.error({ requestId: request.id, err: error }, 'session check failed')
  request.refuse(unavailable ? 'unavailable' : 'internal', cors)
}

/** Says where to log in for this route, too (requirements N-01). */
export function challengeOf(
  { challenges, statusCode }: OAuthError,
  route: UpstreamRoute,
): Record<string, string> {
  if (challenges.length === 0) return {}
  return { 'www-authenticate': withResourceMetadata(challenges, statusCode, route) }
}

/** A fault of ours: told in the log, and answered as far as it can be. */
export function failed(request: ClientRequest, err: unknown): void {
  request.log.error({ requestId: request.id, err }, 'request failed')
  request.refuse('internal')
}
