/** The gateway's door for programs: build one, start one, or load its configuration. The command is `main.ts`. */
export { buildGateway } from './app.ts'
export { gatewayConfig, loadConfig } from './config/load.ts'
export { ConfigurationError } from './config/problems.ts'
export type { GatewayConfig, GatewayInput, Upstream } from './config/schemas/gateway.ts'
export { type RunningGateway, StartError, startGateway } from './start.ts'
