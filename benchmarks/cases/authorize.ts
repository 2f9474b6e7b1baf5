import { authorizationPath } from '../app.ts'
import type { Case } from '../case.ts'
import { ask } from '../check.ts'
import { gatewayPeer } from '../gateway.ts'
import { greeted } from './hello.ts'

/** One address begins every login, so its limits are lifted; nothing else is changed. */
const begins = gatewayPeer(
  {
    rateLimit: false,
    limits: { transactionsPerAddress: 10_000_000, transactions: 10_000_000 },
    store: { maxRecords: 10_000_000 },
  },
  { name: 'gateway', title: 'the gateway, address limits lifted, memory store' },
)

/** `GET /oauth2/authorize`: from the app's request to the redirect to the provider. */
export const authorize: Case = {
  name: 'authorize',
  title: 'GET /oauth2/authorize, 64 connections',
  metric: 'rate',
  mode: 'repeat',
  connections: 64,
  base: greeted,
  contenders: [
    {
      peer: begins,
      async prepare({ port }) {
        const request = { method: 'GET', path: authorizationPath, headers: {} } as const
        const { status } = await ask(port, request)
        if (status !== 302) throw new Error(`authorize answers ${status}`)
        return { requests: [request], status: 302 }
      },
    },
  ],
}
