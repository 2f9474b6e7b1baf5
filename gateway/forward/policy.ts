import type { Session } from '../../plugin/index.ts'

/**
 * The explicit decision that a route needs no session. Made from configuration at start, never from a request;
 * the private field makes the type nominal.
 */
export class PublicRoute {
  readonly #prefix: string

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  get prefix(): string {
    return this.#prefix
  }
}

/** What forwarding demands: a live session, or a route declared public. There is no third (requirements H-03). */
export type Access = Session | PublicRoute
