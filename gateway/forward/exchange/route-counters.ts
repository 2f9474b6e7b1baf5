import type { Session } from '../../../plugin/index.ts'
import type { Limit } from '../upstream/connections.ts'
import type { UpstreamReason } from '../upstream/upstream-error.ts'
import { Durations } from './durations.ts'

export const METHOD_CLASSES = ['read', 'write', 'other'] as const
/** `none`: the client left before it was told anything. */
export const STATUS_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx', 'none'] as const
const NONE = STATUS_CLASSES.length - 1

/** What is counted of the requests to one upstream, to one endpoint, or to nothing that there is. */
export class RouteCounters {
  /** By method class and status class: `seriesOf`. */
  readonly requests = new Durations(METHOD_CLASSES.length * STATUS_CLASSES.length)
  /** From the last time that a request was sent to the header of its answer. */
  readonly upstream = new Durations()
  readonly failures = new Map<UpstreamReason | Limit, number>()
  /** That are open now. */
  eventStreams = 0
  webSockets = 0

  /** @param status that the client was told; 0: none. */
  count(method: string | undefined, status: number, durationMs: number): void {
    this.requests.add(durationMs, seriesOf(methodClass(method), statusClass(status)))
  }

  failed(reason: UpstreamReason | Limit): void {
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1)
  }
}

/** Where the forwarding counts. All of it outlives a reload, so that no count goes back. */
export interface ForwardingMetrics {
  /** @param route the prefix of an upstream, the path of an endpoint, or `none`. */
  countersOf(route: string): RouteCounters
  /** The gateway has refused a request. @param reason its own, or the plugin's. */
  refused(reason: string): void
  /** A request of a session that was not in the cache. @returns is told how it ends, if it may be the first of its login. */
  firstCall(session: Session): ((status: number) => void) | undefined
}

/** The series of `RouteCounters.requests`. */
export function seriesOf(method: number, status: number): number {
  return method * STATUS_CLASSES.length + status
}

function methodClass(method: string | undefined): number {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return 0
    case 'POST':
    case 'PUT':
    case 'PATCH':
    case 'DELETE':
      return 1
    default:
      return 2
  }
}

function statusClass(status: number): number {
  return status < 100 ? NONE : Math.trunc(status / 100) - 1
}
