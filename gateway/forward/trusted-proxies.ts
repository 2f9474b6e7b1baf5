import { BlockList, isIP, type Socket } from 'node:net'
import { withoutPort } from '../../plugin/api/internal.ts'

/**
 * Who may say on whose behalf it asks: the addresses and networks of `trustProxy`, and nobody else
 * (requirements H-13, J-08).
 */
export class TrustedProxies {
  readonly #networks = new BlockList()
  readonly #judged = new WeakMap<Socket, boolean>()
  readonly #any: boolean

  /** @param trusted addresses and CIDRs, as validated by the configuration. */
  constructor(trusted: readonly string[]) {
    this.#any = trusted.length > 0
    for (const entry of trusted) {
      const [address = '', bits] = entry.split('/')
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
      if (bits === undefined) this.#networks.addAddress(address, family)
      else this.#networks.addSubnet(address, Number(bits), family)
    }
  }

  /**
   * X-Forwarded-For for the upstream: the peer's address, after `received` if the peer is trusted.
   * @param received the values of the request's own field, joined.
   */
  forwardedFor(socket: Socket, received: string | undefined): string {
    const address = peerAddress(socket)
    return received !== undefined && this.#any && this.#trustsPeer(socket, address)
      ? `${received}, ${address}`
      : address
  }

  /** The address that a request came from: the last of them that is not a trusted proxy's own, without a port. */
  clientAddress(socket: Socket, received: string | undefined): string {
    if (received === undefined || !this.#any) return peerAddress(socket)
    const chain = this.forwardedFor(socket, received).split(',')
    let address = ''
    for (let i = chain.length - 1; i >= 0; i--) {
      address = withoutPort(chain[i]!.trim())
      if (!this.#trusts(address)) break
    }
    return address
  }

  /**
   * For Fastify, which knows no ports and would take a proxy that writes its own for the client: the addresses of a
   * trusted peer's X-Forwarded-For alone; undefined if nothing is to be changed.
   */
  plainChain(socket: Socket, received: string | undefined): string | undefined {
    if (received === undefined || !this.#any || !this.#trustsPeer(socket, peerAddress(socket)))
      return undefined
    return received
      .split(',')
      .map((address) => withoutPort(address.trim()))
      .join(', ')
  }

  /** True if what the peer says of others is believed. */
  trusts(socket: Socket): boolean {
    return this.#any && this.#trustsPeer(socket, peerAddress(socket))
  }

  #trustsPeer(socket: Socket, address: string): boolean {
    let trusted = this.#judged.get(socket)
    if (trusted === undefined) {
      trusted = this.#trusts(address)
      this.#judged.set(socket, trusted)
    }
    return trusted
  }

  #trusts(address: string): boolean {
    const version = isIP(address)
    return version !== 0 && this.#networks.check(address, version === 6 ? 'ipv6' : 'ipv4')
  }
}

/** An IPv4 client of a dual-stack listener has a mapped address; upstreams expect the plain one. */
function peerAddress(socket: Socket): string {
  const address = socket.remoteAddress
  if (address === undefined) return 'unknown'
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
