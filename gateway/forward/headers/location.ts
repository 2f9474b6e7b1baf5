import { isIP } from 'node:net'
import { isPublicAddress } from '../../../plugin/api/internal.ts'
import type { UpstreamRoute } from '../upstream/route.ts'

/**
 * An upstream's `Location` (or `Content-Location`) as the client may see it.
 *
 * Below the upstream's own base path: the same place below the public prefix. On a host of ours: as it is, whatever that
 * host is; an upstream that heeds `X-Forwarded-Prefix` may have put it before its base. Elsewhere on the upstream's host,
 * on an address that is not public, or on a name without a public suffix: null, because the client could not go there and
 * should not learn of it. Anything else, app links included, is left as it is. Nothing is ever followed.
 *
 * @param path of the upstream request, for a relative reference.
 * Source: RFC 9110 §10.2.2; requirements H-24.
 */
export function publicLocation(location: string, path: string, route: UpstreamRoute): string | null {
  const { origins, hostnames, publicOrigins, prefix, base, publicBase, forwardedPrefix } = route
  const [origin = ''] = origins
  let target: URL
  try {
    target = new URL(location, origin + path)
  } catch {
    return null
  }
  if (target.protocol !== 'http:' && target.protocol !== 'https:') return location
  const { pathname, search, hash } = target
  const prefixed = forwardedPrefix + base
  const isPrefixed = isBelow(pathname, prefixed)
  if (publicOrigins.has(target.origin)) {
    return isPrefixed ? target.origin + prefix + pathname.slice(prefixed.length) + search + hash : location
  }
  if (origins.has(target.origin)) {
    // A place below its own base may look like that, but then its own requests do, too.
    if (isPrefixed && !isBelow(path, prefixed))
      return publicBase + pathname.slice(prefixed.length) + search + hash
    return isBelow(pathname, base) ? publicBase + pathname.slice(base.length) + search + hash : null
  }
  return hostnames.has(target.hostname) || isInternal(target.hostname) ? null : location
}

/** @param path perhaps with a query. */
function isBelow(path: string, base: string): boolean {
  return path.startsWith(base) && /^(?:[/?]|$)/.test(path.slice(base.length, base.length + 1))
}

function isInternal(hostname: string): boolean {
  const address = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  if (isIP(address) !== 0) return !isPublicAddress(address)
  return !hostname.includes('.') || /\.(?:localhost|local|internal|home\.arpa)\.?$/.test(hostname)
}
