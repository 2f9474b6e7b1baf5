import { correlationId } from '../../../plugin/api/internal.ts'
import type { Refusal } from '../../http/refusals.ts'
import type { ClientRequest } from '../client-request.ts'
import type { Limit } from '../upstream/connections.ts'
import { remedyFor } from '../upstream/remedies.ts'
import type { UpstreamRoute } from '../upstream/route.ts'
import { UpstreamError, type UpstreamReason } from '../upstream/upstream-error.ts'

/** Why a request cannot be forwarded, or its answer not be passed on: for the log, for the metrics and for the client. */
export interface Trouble {
  readonly reason: UpstreamReason | Limit
  readonly refusal: Refusal
  readonly about: object
  readonly message: string
}

/** What a client is told at each limit. */
const LIMITS: Record<Limit, Refusal> = {
  connections: 'unavailable',
  connectionsPerSession: 'too_many_requests',
  streamsPerSession: 'too_many_streams',
}

/** More than the configuration allows. The log says which limit it was, and whose share. */
export function limitMet(limit: Limit, grantId: string | undefined): Trouble {
  const err = limit === 'connections' ? new UpstreamError('no_connection') : undefined
  const remedy = err && remedyFor(err)
  const grant = grantId === undefined ? undefined : correlationId(grantId)
  const about = { limit: `upstreams[].${limit}`, grant, err, remedy }
  return { reason: limit, refusal: LIMITS[limit], about, message: 'too much is under way' }
}

/** The upstream's fault. */
export function upstreamFailed(error: UpstreamError): Trouble {
  const { reason, refusal } = error
  return { reason, refusal, about: { err: error, remedy: remedyFor(error) }, message: 'upstream failed' }
}

/** Tells it to the operator. @param target that the request was sent to, or was going to be. */
export function tellOf(
  { reason, about, message }: Trouble,
  { id: requestId, headers, log, raw }: ClientRequest,
  { name: route, counters }: UpstreamRoute,
  target: string,
): void {
  const { clientRequestId } = headers
  const { method } = raw
  counters?.failed(reason)
  log.warn({ requestId, clientRequestId, method, route, target, ...about }, message)
}
