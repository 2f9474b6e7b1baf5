import { renameSync, writeFileSync } from 'node:fs'
import { createServices } from '../../gateway/app.ts'
import { buildGateway, type GatewayInput, gatewayConfig } from '../../gateway/index.ts'
import { createTestGrantIssuer } from '../../plugin/api/testing.ts'
import type { Filled } from '../cases/sessions.ts'
import { readArgument } from '../plan/argument.ts'
import { SECRETS, SESSION_SECONDS } from './redis.ts'

/** The gateway with many sessions in its memory. */
interface Argument {
  readonly config: GatewayInput
  readonly count: number
  /** How many access tokens are told. */
  readonly active: number
  readonly file: string
}
const { config: input, count, active, file } = readArgument<Argument>()
const config = gatewayConfig({ ...input, secrets: SECRETS })
const { store, options } = createServices(config)
const issuer = createTestGrantIssuer(options)

const before = heapBytes()
const tokens: string[] = []
for (let i = 0; i < count; i += 1) {
  const { accessToken } = await issuer.issue({ subject: `user-${i}`, expiresInSeconds: SESSION_SECONDS })
  if (i < active) tokens.push(accessToken)
}
const filled: Filled = { tokens, bytesPerSession: (heapBytes() - before) / count }
writeFileSync(`${file}.new`, JSON.stringify(filled))
renameSync(`${file}.new`, file)

const app = await buildGateway(config, { store: store.store })
const { host, port } = config.listen
await app.listen({ host, port })

/** In use once the garbage is gone. */
function heapBytes(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}
