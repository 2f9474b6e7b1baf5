import { buildGateway, type FastPath, type GatewayInput, gatewayConfig } from '../../gateway/index.ts'
import { readArgument } from '../plan/argument.ts'

/** The gateway without one of its fast paths, or with all of them. */
interface Argument {
  readonly config: GatewayInput
  readonly without: FastPath | null
}
const { config: input, without } = readArgument<Argument>()

const config = gatewayConfig(input)
const app = await buildGateway(config, {
  leftOut: without === null ? [] : [without],
})
const { host, port } = config.listen
await app.listen({ host, port })
