import type { Refusal } from '../http/refusals.ts'
import { refuseTarget, targetReadings } from '../http/request-target.ts'
import type { UpstreamRoute } from './upstream/route.ts'

/** What a path leads to: an upstream, an endpoint of the plugin's (`'endpoint'`), or nothing. */
export type Destination = UpstreamRoute | 'endpoint' | undefined

/**
 * The way from a path to its destination: exact bytes, no pattern, no decoding (requirements H-01, H-08, H-09).
 *
 * An endpoint always wins against an upstream, so no prefix can swallow the token endpoint.
 */
export class Routes {
  /** The longest prefix first. */
  readonly #upstreams: readonly UpstreamRoute[]
  readonly #endpoints = new Set<string>()
  /** Endpoints whose last segment is a parameter, by what stands before it, e.g. `/oauth2/sessions/`. */
  readonly #parents = new Map<string, string>()
  /** Upstreams below which there are endpoints: for them the path is looked up. */
  readonly #shared = new Set<UpstreamRoute>()

  constructor(upstreams: readonly UpstreamRoute[]) {
    this.#upstreams = upstreams.toSorted((a, b) => b.prefix.length - a.prefix.length)
  }

  /** @throws Error for a path with parameters, unless it is the last segment and could not be an upstream's. */
  addEndpoint(path: string): void {
    const [, parent] = /^(\/[^:*]*\/):\w+$/.exec(path) ?? []
    const isUpstreams =
      parent !== undefined && this.#upstreams.some(({ prefix }) => prefix.startsWith(parent))
    if (isUpstreams || (parent === undefined && /[:*]/.test(path)))
      throw new Error(`the route ${path} has parameters: its prefix must be an upstream's`)
    if (parent === undefined) this.#endpoints.add(path)
    else this.#parents.set(parent, path)
    const upstream = this.#upstreamOf(path)
    if (upstream !== undefined) this.#shared.add(upstream)
  }

  /** @param target in origin-form and canonical. */
  find(target: string): Destination {
    const upstream = this.#upstreamOf(target)
    if (upstream !== undefined && !this.#shared.has(upstream)) return upstream
    return this.endpointOf(target) === undefined ? upstream : 'endpoint'
  }

  /** The path of an endpoint as it was registered, or undefined: it leads to none. */
  endpointOf(target: string): string | undefined {
    const path = pathOf(target)
    return this.#endpoints.has(path) ? path : this.#parents.get(path.slice(0, path.lastIndexOf('/') + 1))
  }

  /** Why a target is refused, or null: as `refuseTarget`, but for the forms that its route allows. */
  refuseTarget(target: string): Refusal | null {
    const refusal = refuseTarget(target)
    return refusal === 'path_not_canonical' && this.allows(target) ? null : refusal
  }

  /**
   * True if the path of a target is not canonical only for forms that its route allows (`upstreams[].paths`), and if it
   * is canonical and leads to the same route however an upstream reads it. So a path that is judged by the policy of
   * one prefix never becomes a path below a longer one (CVE-2026-6414, requirements H-08).
   */
  allows(target: string): boolean {
    const route = this.#upstreamOf(target)
    if (route === undefined || !(route.paths.encodedSlash || route.paths.matrixParameters)) return false
    const leadsHere = (reading: string) => refuseTarget(reading) === null && this.find(reading) === route
    return targetReadings(target, route.paths).every(leadsHere)
  }

  #upstreamOf(target: string): UpstreamRoute | undefined {
    for (const upstream of this.#upstreams) {
      const { prefix } = upstream
      if (target.startsWith(prefix) && isSegmentEnd(target.charCodeAt(prefix.length))) return upstream
    }
    return undefined
  }
}

/** `/`, `?`, or the end of the string. */
function isSegmentEnd(code: number): boolean {
  return code === 0x2f || code === 0x3f || Number.isNaN(code)
}

/** Without the query. */
function pathOf(target: string): string {
  const queryAt = target.indexOf('?')
  return queryAt === -1 ? target : target.slice(0, queryAt)
}
