import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { buildGateway } from '../../gateway/app.ts'
import { gatewayConfig } from '../../gateway/config/load.ts'
import type { GatewayInput } from '../../gateway/config/schema.ts'
import { demoConfiguration, gatewayAtProvider } from '../../gateway/demo/configuration.ts'
import { type EchoApi, startEchoApi } from '../../gateway/demo/echo.ts'
import { login } from '../../gateway/demo/login.ts'
import { type DemoProvider, startProvider } from '../../gateway/demo/provider.ts'

/** A gateway that listens, in front of a real provider and an API that counts. */
export interface GatewayStack {
  readonly publicUrl: string
  readonly app: FastifyInstance
  readonly provider: DemoProvider
  readonly api: EchoApi
  /** Everything the gateway logged, at trace level. */
  readonly log: () => string
  /** A user in a fresh browser: from the authorization URL to the redirect URI with its parameters. */
  signIn(authorizationUrl: URL | string, username?: string): Promise<URL>
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** @param change turns the demo's configuration into the one under test. */
export async function startGatewayStack(
  t: Test,
  change: (config: GatewayInput) => GatewayInput = (config) => config,
): Promise<GatewayStack> {
  const port = await freePort()
  const publicUrl = `http://127.0.0.1:${port}`
  const provider = await startProvider({ port: 0, clients: [gatewayAtProvider(publicUrl)] })
  const api = await startEchoApi()
  const lines: string[] = []
  const demo = demoConfiguration({
    publicUrl,
    port,
    adminPort: 0,
    providerIssuer: provider.issuer,
    apiOrigin: api.origin,
  })
  const config = gatewayConfig(change({ ...demo, rateLimit: false, log: { level: 'trace' } }))
  const app = await buildGateway(config, { logStream: { write: (line) => lines.push(line) } })
  t.teardown(async () => {
    await app.close()
    await config.plugin.store?.close()
    await Promise.all([provider.close(), api.close()])
  })
  await app.listen({ host: '127.0.0.1', port })
  return {
    publicUrl,
    app,
    provider,
    api,
    log: () => lines.join(''),
    async signIn(authorizationUrl, username = 'alice') {
      const { redirectTo } = await login(String(authorizationUrl), { username, password: 'password' })
      return new URL(redirectTo)
    },
  }
}
