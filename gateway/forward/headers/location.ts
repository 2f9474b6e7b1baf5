import { isIP } from 'node:net'
import { isPublicAddress } from '../../../plugin/api/internal.ts'
import type { UpstreamRoute } from '../upstream/route.ts'

/**
 * An upstream's `Location` (or `Content-Location`) as the client may see it.
 *
 * Below the upstream's own base path: the same place below the public prefix. Elsewhere on the upstream's host,
 * on an address that is not public, or on a name without a public suffix: null, because the client could not go there and
 * should not learn of it. Anything else, app links included, is left as it is. Nothing is ever followed.
 *
 * @param path of the upstream request, for a relative reference.
 * Source: RFC 9110 §10.2.2; requirements H-24.
 */
export function publicLocation(location: string, path: string, route: UpstreamRoute): string | null {
  const { origins, hostnames, base, publicBase } = route
  const [origin = ''] = origins
  let target: URL
  try {
    target = new URL(location, origin + path)
  } catch {
    return null
  }
  if (target.protocol !== 'http:' && target.protocol !== 'https:') return location
  if (origins.has(target.origin)) {
    const { pathname, search, hash } = target
    if (pathname !== base && !pathname.startsWith(`${base}/`)) return null
    return publicBase + pathname.slice(base.length) + search + hash
  }
  return hostnames.has(target.hostname) || isInternal(target.hostname) ? null : location
}

function isInternal(hostname: string): boolean {
  const address = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  if (isIP(address) !== 0) return !isPublicAddress(address)
  return !hostname.includes('.') || /\.(?:localhost|local|internal|home\.arpa)\.?$/.test(hostname)
}
