import net from 'node:net'
import type { ResolvedProvider } from '../resolved.ts'

type Network = Pick<ResolvedProvider, 'issuer' | 'dangerouslyAllowPrivateNetwork'>

/** The only IPv6 addresses that can be public. All others are refused, whatever they will be assigned to. */
const PUBLIC_IPV6: readonly (readonly [network: string, prefix: number])[] = [
  ['2000::', 3], // global unicast (RFC 4291 §2.4)
  ['::ffff:0:0', 96], // IPv4-mapped (RFC 4291 §2.5.5.2), held to the IPv4 list below
  ['64:ff9b::', 96], // NAT64, well-known prefix (RFC 6052 §2.1), held to the IPv4 list below
]

/** Parts of `PUBLIC_IPV6` that are not on the public internet. */
const REFUSED_IPV6: readonly (readonly [network: string, prefix: number])[] = [
  ['2001::', 23], // protocol assignments (RFC 2928), Teredo (RFC 4380) and ORCHID (RFC 7343) among them
  ['2001:db8::', 32], // documentation (RFC 3849)
  ['2002::', 16], // 6to4, which carries any IPv4 address (RFC 3056)
  ['3fff::', 20], // documentation (RFC 9637)
]

/** IPv4 addresses that are not on the public internet (RFC 6890, and the IANA registry that it begins). */
const REFUSED_IPV4: readonly (readonly [network: string, prefix: number])[] = [
  ['0.0.0.0', 8], // this network (RFC 1122 §3.2.1.3)
  ['10.0.0.0', 8], // private use (RFC 1918)
  ['100.64.0.0', 10], // carrier-grade NAT (RFC 6598)
  ['127.0.0.0', 8], // loopback (RFC 1122 §3.2.1.3)
  ['169.254.0.0', 16], // link-local (RFC 3927), metadata services of clouds among them
  ['172.16.0.0', 12], // private use (RFC 1918)
  ['192.0.0.0', 24], // protocol assignments (RFC 6890 §2.1)
  ['192.0.2.0', 24], // documentation (RFC 5737)
  ['192.88.99.0', 24], // 6to4 relays (RFC 7526)
  ['192.168.0.0', 16], // private use (RFC 1918)
  ['198.18.0.0', 15], // benchmarks (RFC 2544)
  ['198.51.100.0', 24], // documentation (RFC 5737)
  ['203.0.113.0', 24], // documentation (RFC 5737)
  ['224.0.0.0', 4], // multicast (RFC 5771)
  ['240.0.0.0', 4], // reserved (RFC 1112 §4), and broadcast
]

const publicIpv6 = new net.BlockList()
for (const [network, prefix] of PUBLIC_IPV6) publicIpv6.addSubnet(network, prefix, 'ipv6')

const refused = new net.BlockList()
for (const [network, prefix] of REFUSED_IPV6) refused.addSubnet(network, prefix, 'ipv6')
for (const [network, prefix] of REFUSED_IPV4) {
  refused.addSubnet(network, prefix, 'ipv4')
  refused.addSubnet(`::ffff:${network}`, 96 + prefix, 'ipv6')
  refused.addSubnet(`64:ff9b::${network}`, 96 + prefix, 'ipv6')
}

const loopback = new net.BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/**
 * True for a literal address on the public internet. So unique local (`fc00::/7`, RFC 4193), link-local
 * (`fe80::/10`, RFC 4291 §2.5.6), IPv4-compatible (`::/96`, RFC 4291 §2.5.5.1) and IPv4-translated addresses
 * (`::ffff:0:0:0/96`, RFC 2765 §2.1) and NAT64's local prefix (`64:ff9b:1::/48`, RFC 8215) are not; nor is what is
 * no address. Source: requirements F-03.
 */
export function isPublicAddress(address: string): boolean {
  if (net.isIPv4(address)) return !refused.check(address, 'ipv4')
  return net.isIPv6(address) && publicIpv6.check(address, 'ipv6') && !refused.check(address, 'ipv6')
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
