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
  readonly #upstreams: readonly UpstreamRoute[]
  /** The prefixes by their segments: a request pays for its own path, however many prefixes there are. */
  readonly #root: PrefixNode = {}
  readonly #endpoints = new Set<string>()
  /** Endpoints whose last segment is a parameter, by what stands before it, e.g. `/oauth2/sessions/`. */
  readonly #parents = new Map<string, string>()
  /** Upstreams below which there are endpoints: for them the path is looked up. */
  readonly #shared = new Set<UpstreamRoute>()

  constructor(upstreams: readonly UpstreamRoute[]) {
    this.#upstreams = upstreams
    for (const upstream of upstreams) {
      let node = this.#root
      for (const segment of upstream.prefix.split('/').slice(1)) {
        node.children ??= new Map()
        const child: PrefixNode = node.children.get(segment) ?? {}
        node.children.set(segment, child)
        node = child
      }
      node.upstream = upstream
    }
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

  /** The one with the longest prefix, which ends with a segment. */
  #upstreamOf(target: string): UpstreamRoute | undefined {
    let node = this.#root
    let found = node.upstream
    let start = 1
    while (node.children !== undefined) {
      const end = segmentEnd(target, start)
      const child = node.children.get(target.slice(start, end))
      if (child === undefined) break
      node = child
      found = child.upstream ?? found
      if (target.charCodeAt(end) !== SLASH) break
      start = end + 1
    }
    return found
  }
}

/** A segment of prefixes, and what may follow it. */
interface PrefixNode {
  upstream?: UpstreamRoute
  children?: Map<string, PrefixNode>
}

const SLASH = 0x2f
const QUESTION_MARK = 0x3f

/** Where the segment that begins at `start` ends: at a `/`, a `?`, or the end of the target. */
function segmentEnd(target: string, start: number): number {
  let end = start
  for (; end < target.length; end++) {
    const code = target.charCodeAt(end)
    if (code === SLASH || code === QUESTION_MARK) break
  }
  return end
}

/** Without the query. */
function pathOf(target: string): string {
  const queryAt = target.indexOf('?')
  return queryAt === -1 ? target : target.slice(0, queryAt)
}
