import type { Refusal } from './refusals.ts'

/** `reg-name`, IPv4 or bracketed IPv6, and a port (RFC 9110 §7.2); no userinfo, no path. */
const HOST = /^(?:[A-Za-z0-9\-._~]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/
const DEFAULT_PORT: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/**
 * The Host values that are served: the public URL's, with and without its scheme's default port, and
 * `allowedHosts`. The port that is listened on plays no part: a client is told the public URL and nothing else.
 */
export function servedHosts(publicUrl: string, allowedHosts: readonly string[]): ReadonlySet<string> {
  const { host, hostname, port, protocol } = new URL(publicUrl)
  const served = new Set([host, ...allowedHosts.map((allowed) => allowed.toLowerCase())])
  if (port === '') served.add(`${hostname}:${DEFAULT_PORT[protocol]}`)
  return served
}

/**
 * Checks the one Host value of a request.
 *
 * @param host as received; undefined if there was none.
 * Source: RFC 9110 §7.2, §15.5.20; requirements H-13.
 */
export function refuseHost(host: string | undefined, served: ReadonlySet<string>): Refusal | null {
  if (host === undefined) return 'host_malformed'
  if (served.has(host) || served.has(host.toLowerCase())) return null
  return HOST.test(host) ? 'host_unknown' : 'host_malformed'
}
