import { OAuthError, type Pkce, StoreError } from '../../plugin/index.ts'
import { answerOAuthError, answerRefusal } from '../listener/problem-details.ts'
import type { ClientRequest } from './client-request.ts'

/**
 * Answers a request whose session check failed: with its challenge (RFC 6750 §3) and an audit event, or with 503
 * when the store could not say, or with 500. Readable for the scripts of any client: which one is not known.
 *
 * @param error what the check threw. Source: requirements G-08, H-06, J-04.
 */
export function deny(
  error: unknown,
  sessions: Pick<Pkce, 'corsHeaders' | 'events'>,
  request: ClientRequest,
): void {
  const { raw, response, id } = request
  const cors = sessions.corsHeaders(raw.headers.origin)
  if (error instanceof OAuthError) {
    const { reason, statusCode } = error
    if (statusCode < 500) {
      const line = { event: 'forward.denied' as const, reason, requestId: id, address: request.ip }
      request.log.info(line, line.event)
      sessions.events.emit({ ...line, time: new Date().toISOString() })
    }
    answerOAuthError(raw, response, id, error, cors)
    return
  }
  const unavailable = error instanceof StoreError
  request.log.error({ requestId: id, err: error }, 'session check failed')
  const fields = unavailable ? { ...cors, 'retry-after': '5' } : cors
  answerRefusal(raw, response, id, unavailable ? 'unavailable' : 'internal', fields)
}
