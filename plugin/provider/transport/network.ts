import dns from 'node:dns'
import net from 'node:net'
import { Agent, buildConnector, type Dispatcher, Pool } from 'undici'
import type { ResolvedProvider } from '../../options/resolved.ts'

/** What the provider client needs of undici. */
export type ProviderDispatcher = Pick<Dispatcher, 'dispatch'>

/**
 * No connection came about, so no byte of a request was sent. `detail` is a code such as `ECONNREFUSED`, or
 * `ADDRESS_REFUSED` when the address is one that we do not connect to.
 */
export class ConnectError extends Error {
  override readonly name = 'ConnectError'
  // undici treats some codes of its own and of TLS specially: ours is not one of them.
  readonly code = 'PKCE_CONNECT'
  readonly detail: string

  constructor(detail: string) {
    super(`no connection: ${detail}`)
    this.detail = detail
  }
}

type Resolve = (
  hostname: string,
  options: dns.LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: dns.LookupAddress[]) => void,
) => void
type Network = Pick<ResolvedProvider, 'issuer' | 'timeouts' | 'dangerouslyAllowPrivateNetwork'>

// Addresses that are not on the public internet (RFC 6890). IPv6 is by allow-list: global unicast, and the
// two forms that carry an IPv4 address, which are then held to the IPv4 list.
const PRIVATE_IPV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const
const loopback = new net.BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

const refused = new net.BlockList()
for (const [network, prefix] of PRIVATE_IPV4) {
  refused.addSubnet(network, prefix, 'ipv4')
  refused.addSubnet(`::ffff:${network}`, 96 + prefix, 'ipv6')
  refused.addSubnet(`64:ff9b::${network}`, 96 + prefix, 'ipv6')
}
refused.addSubnet('2001::', 23, 'ipv6') // Teredo and other protocol assignments
refused.addSubnet('2001:db8::', 32, 'ipv6') // documentation
refused.addSubnet('2002::', 16, 'ipv6') // 6to4
refused.addSubnet('3fff::', 20, 'ipv6') // documentation

const globalIpv6 = new net.BlockList()
globalIpv6.addSubnet('2000::', 3, 'ipv6')
globalIpv6.addSubnet('::ffff:0:0', 96, 'ipv6') // IPv4-mapped
globalIpv6.addSubnet('64:ff9b::', 96, 'ipv6') // NAT64

/** True for a literal address on the public internet. */
export function isPublicAddress(address: string): boolean {
  if (net.isIPv4(address)) return !refused.check(address, 'ipv4')
  return net.isIPv6(address) && globalIpv6.check(address, 'ipv6') && !refused.check(address, 'ipv6')
}

/** True for an issuer on this machine: `127.0.0.1`, `[::1]`, or `localhost`, whose addresses are checked later. */
export function isLoopbackIssuer(issuer: string): boolean {
  return ['127.0.0.1', '[::1]', 'localhost'].includes(new URL(issuer).hostname)
}

/**
 * Which addresses a connection to `origin` may lead to: public ones. A loopback issuer's own origin leads to
 * loopback addresses and nowhere else (F-03).
 */
export function addressRule(provider: Network, origin: string): (address: string) => boolean {
  if (provider.dangerouslyAllowPrivateNetwork) return () => true
  const ownLoopback = isLoopbackIssuer(provider.issuer) && origin === new URL(provider.issuer).origin
  if (ownLoopback) return (address) => loopback.check(address, net.isIPv6(address) ? 'ipv6' : 'ipv4')
  return isPublicAddress
}

/**
 * The connections to the provider and nothing else: no interceptors (so no redirects, retries, caches, cookies
 * or decompression), no pipelining, no HTTP/2, no proxy from the environment, certificates always verified.
 *
 * @param resolve stands in for `dns.lookup`.
 */
export function createDispatcher(provider: Network, resolve: Resolve = dns.lookup): Agent {
  return new Agent({
    factory: (origin) =>
      new Pool(origin, {
        connections: 64,
        pipelining: 1,
        allowH2: false,
        maxHeaderSize: 16_384,
        connect: checkedConnector(provider, new URL(origin).origin, resolve),
      }),
  })
}

/** Connects to permitted addresses of one origin only; whatever fails here is a `ConnectError`. */
function checkedConnector(provider: Network, origin: string, resolve: Resolve): buildConnector.connector {
  const permitted = addressRule(provider, origin)
  const connect = buildConnector({
    timeout: provider.timeouts.connectMs,
    allowH2: false,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    // The address that was checked is the one that is connected to: a second answer of the name server
    // (DNS rebinding) has no chance.
    lookup: (hostname, options, callback) => {
      resolve(hostname, { ...options, all: true }, (error, addresses) => {
        const usable = error ? [] : addresses.filter(({ address }) => permitted(address))
        const first = usable[0]
        if (first === undefined) callback(error ?? new ConnectError('ADDRESS_REFUSED'), [])
        else if (options.all) callback(null, usable)
        else callback(null, first.address, first.family)
      })
    },
  })
  return (options, callback) => {
    // A literal address is never looked up, so it is checked here.
    if (net.isIP(options.hostname) !== 0 && !permitted(options.hostname)) {
      process.nextTick(callback, new ConnectError('ADDRESS_REFUSED'), null)
      return
    }
    connect(options, (error, socket) => {
      if (error) callback(error instanceof ConnectError ? error : new ConnectError(errorCode(error)), null)
      else callback(null, socket)
    })
  }
}

/** The code of an error, else its name: what may be logged of it. Messages can hold addresses and bodies. */
export function errorCode(error: unknown): string {
  if (error instanceof ConnectError) return error.detail
  if (!(error instanceof Error)) return typeof error
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
