import type { Handshakes, Mode, PlannedRequest } from '../load/plan.ts'
import type { Peer, Place } from '../peers/peer.ts'

/** What is sent to a server in a slice, and what must come back. */
export interface Traffic {
  readonly requests: readonly PlannedRequest[]
  /** @see LoadPlan.order */
  readonly order?: readonly number[]
  /** @see LoadPlan.before */
  readonly before?: number
  readonly uploadBytes?: number
  readonly status: number
  /** @see LoadPlan.answer */
  readonly answer?: number | string
}

/** A server with its part in a case. */
export interface Contender {
  readonly peer: Peer
  /** Instead of the case's, for a base that is not used up. */
  readonly mode?: Mode
  /**
   * Checks the answers of the server, which listens, and prepares the requests.
   *
   * @param count how many there must be where none may be sent twice.
   * @throws Error when an answer is not what it must be.
   */
  prepare(place: Place, count: number): Promise<Traffic>
}

/**
 * What is compared. `rate`: requests per second · `p99`: the 99th percentile of the latency · `memory`: growth over
 * idle · `connection-memory`: growth for each connection that is held · `start`: CPU time until the server is ready; a
 * request is a start, its latency the wall time.
 */
export type Metric = 'rate' | 'p99' | 'memory' | 'connection-memory' | 'start'

/** One comparison: everything in it does the same work, and is measured against the same base. */
export interface Case {
  readonly name: string
  /** A sentence for the reader of the table. */
  readonly title: string
  readonly metric: Metric
  readonly mode: Mode
  readonly connections: number
  readonly base: Contender
  readonly contenders: readonly Contender[]
  /** Bytes of each body, for the table's MB/s, and the direction of it. */
  readonly body?: { readonly bytes: number; readonly up: boolean }
  /** Of a slice in the full profile: for requests that take long themselves. */
  readonly secondsAtLeast?: number
  /** The garbage collector is watched in a slice of its own, for those that run on Node. */
  readonly allocation?: boolean
  /** Of all clients, only our own can make this load, e.g. with many tokens in turn. */
  readonly oursOnly?: boolean
  /** A connection for each request. */
  readonly handshakes?: Handshakes
  /** The server may use every core, the load's too, so its ratio is never of CPU time: for servers of several processes. */
  readonly allCores?: boolean
  /** At most so many rounds: for cases that take long to set up. */
  readonly roundsAtMost?: number
}
