import type { Case } from '../../plan/case.ts'
import { gatewayPeer } from '../../servers/gateway.ts'
import { forwarding } from '../forward/forward.ts'

const WORKERS = 2

/**
 * Two processes against one, their sessions in Redis, read before. They are not pinned: of two cores, the second one
 * is the load's and the upstream's too, so two processes cannot be twice as fast there.
 */
export const workers: Case = {
  name: 'workers',
  title:
    'GET with an answer of 200 bytes, 64 connections: one process and two, not pinned; of two cores the load needs its part',
  metric: 'rate',
  mode: 'repeat',
  connections: 64,
  allCores: true,
  base: forwarding(
    gatewayPeer({
      name: 'gateway-one-process',
      title: 'the gateway, one process, session in Redis, read before',
      redis: true,
    }),
    'small',
  ),
  contenders: [
    forwarding(
      gatewayPeer({
        name: `gateway-${WORKERS}-workers`,
        title: `the gateway, workers: ${WORKERS}, session in Redis, read before`,
        redis: true,
        change: () => ({ workers: WORKERS }),
      }),
      'small',
    ),
  ],
}
