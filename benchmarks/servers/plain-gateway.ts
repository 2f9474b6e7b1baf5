import { buildGateway, type GatewayInput, gatewayConfig } from '../../gateway/index.ts'
import { logLines } from '../../gateway/operations/log.ts'
import { readArgument } from '../plan/argument.ts'

/** The gateway without one of its fast paths, or with all of them. */
interface Argument {
  readonly config: GatewayInput
  readonly without: string | null
}
const { config: input, without } = readArgument<Argument>()
if (without !== 'young allocation') await import('../../gateway/listener/heap.ts')

const config = gatewayConfig(input)
const app = await buildGateway(config, {
  logStream: without === 'joined log lines' ? process.stdout : logLines(process.stdout),
  // The other names are those of the gateway itself.
  leftOut: without === null ? [] : [without as 'whole bodies'],
})
const { host, port } = config.listen
await app.listen({ host, port })
