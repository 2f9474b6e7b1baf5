import { BlockList, isIP } from 'node:net'
import type { UpstreamRoute } from '../upstream/route.ts'

const internal = new BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  internal.addSubnet(network, bits, 'ipv4')
}
internal.addAddress('::', 'ipv6')
internal.addAddress('::1', 'ipv6')
internal.addSubnet('fc00::', 7, 'ipv6')
internal.addSubnet('fe80::', 10, 'ipv6')

/**
 * An upstream's `Location` (or `Content-Location`) as the client may see it.
 *
 * Below the upstream's own base path: the same place below the public prefix. Elsewhere on the upstream's host,
 * on a private address, or on a name without a public suffix: null, because the client could not go there and
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
  const version = isIP(address)
  if (version !== 0) return internal.check(address, version === 4 ? 'ipv4' : 'ipv6')
  return !hostname.includes('.') || /\.(?:localhost|local|internal|home\.arpa)\.?$/.test(hostname)
}
