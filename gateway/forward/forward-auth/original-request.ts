import type { Refusal } from '../../http/refusals.ts'

/** The request that a proxy asks about, as its client sent it. */
export interface OriginalRequest {
  /** Path and query, as received by the proxy. */
  readonly target: string
  readonly method: string
  /** Host values that the proxy names besides the request's own Host field. */
  readonly hosts: readonly string[]
}

type Part = 'target' | 'url' | 'method' | 'host'

/** nginx and ingress-nginx; Traefik and Caddy. */
const FIELDS = new Map<string, Part>([
  ['x-original-uri', 'target'],
  ['x-original-url', 'url'],
  ['x-original-method', 'method'],
  ['x-forwarded-uri', 'target'],
  ['x-forwarded-method', 'method'],
  ['x-forwarded-host', 'host'],
])
/** Scheme and host, of which nothing can be taken for a path, and the rest. */
const URL_PARTS = /^https?:\/\/([A-Za-z0-9\-._~:[\]]+)(\/.*)$/

/**
 * What a proxy says of the request that it asks about. It is the caller that has made sure that the proxy is trusted.
 *
 * A proxy sets the fields of its own kind and may pass on those of another kind as its client sent them. So whatever
 * names the target or the method must name the same one, and nothing has a default.
 *
 * @param rawHeaders names and values in turn, as received.
 * @param appended   what stands behind the endpoint's own path (Envoy's `path_prefix`), with the method of the
 *   request itself; undefined for none.
 * @returns why it is refused where something is missing, repeated or contradicted.
 * Source: requirements Q-10; CVE-2026-40575.
 */
export function originalRequest(
  rawHeaders: readonly string[],
  appended: { readonly target: string; readonly method: string } | undefined,
): OriginalRequest | Refusal {
  const targets = new Set<string>()
  const methods = new Set<string>()
  const hosts: string[] = []
  const seen = new Set<string>()
  if (appended !== undefined) {
    targets.add(appended.target)
    methods.add(appended.method)
  }
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    const part = FIELDS.get(name)
    if (part === undefined) continue
    if (seen.has(name)) return 'original_ambiguous'
    seen.add(name)
    const value = rawHeaders[i + 1]!
    if (part === 'target') targets.add(value)
    else if (part === 'method') methods.add(value)
    else if (part === 'host') hosts.push(value)
    else {
      const [, host, target] = URL_PARTS.exec(value) ?? []
      if (host === undefined || target === undefined) return 'original_ambiguous'
      hosts.push(host)
      targets.add(target)
    }
  }
  if (targets.size > 1 || methods.size > 1) return 'original_ambiguous'
  const [target] = targets
  const [method] = methods
  return target === undefined || method === undefined ? 'original_missing' : { target, method, hosts }
}
