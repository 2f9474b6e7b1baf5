import { writeFileSync } from 'node:fs'
import { createServices } from '../../../gateway/app.ts'
import { buildGateway, type GatewayInput, gatewayConfig } from '../../../gateway/index.ts'
import { readArgument } from '../../plan/argument.ts'
import { SECRETS } from '../redis.ts'
import { plant } from './planted.ts'

/** The gateway with many sessions in its memory. */
interface Argument {
  readonly config: GatewayInput
  readonly count: number
  /** Of the slice. */
  readonly folder: string
  /** For the bytes that a session takes. */
  readonly bytesFile: string
}
const { config: input, count, folder, bytesFile } = readArgument<Argument>()
const config = gatewayConfig({ ...input, secrets: SECRETS })
const { store } = createServices(config).store

const before = heapBytes()
await plant(store!, input, count, folder)
writeFileSync(bytesFile, JSON.stringify((heapBytes() - before) / count))

const app = await buildGateway(config, { store })
const { host, port } = config.listen
await app.listen({ host, port })

/** In use once the garbage is gone. */
function heapBytes(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}
