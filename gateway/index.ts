/** The gateway's door for programs: build one, start one, or load its configuration. The command is `main.ts`. */
export { ConfigError, type ConfigProblem } from '../plugin/index.ts'
export { buildGateway, type FastPath, type GatewayOptions } from './app.ts'
export { gatewayConfig, loadConfig } from './config/load.ts'
export type { GatewayConfig, GatewayInput, Upstream } from './config/schemas/config.ts'
export { type RunningGateway, StartError, startGateway } from './start.ts'
