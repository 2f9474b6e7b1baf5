import type { GatewayInput } from '../../gateway/index.ts'
import type { Peer } from '../peers/peer.ts'
import { gatewayPeer } from '../servers/gateway.ts'

const MANY = 10_000_000
const lifted = {
  rateLimit: false,
  limits: { transactionsPerAddress: MANY, transactions: MANY },
} satisfies Partial<GatewayInput>

/**
 * The gateway for the OAuth endpoints, on either store: all of the load has one address, so the limits by address
 * are lifted; nothing else is changed.
 */
export function unlimitedGateways(also: Partial<GatewayInput> = {}): readonly Peer[] {
  return [
    gatewayPeer({
      name: 'gateway',
      title: 'the gateway, address limits lifted, memory store',
      change: () => ({ ...lifted, store: { maxRecords: MANY }, ...also }),
    }),
    gatewayPeer({
      name: 'gateway-redis',
      title: 'the gateway, address limits lifted, Redis',
      redis: true,
      change: () => ({ ...lifted, ...also }),
    }),
  ]
}
