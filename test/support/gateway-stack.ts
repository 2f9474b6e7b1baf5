import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { ClientMetadata } from 'oidc-provider'
import type { Test } from 'tap'
import { demoConfiguration, gatewayAtProvider } from '../../examples/demo/configuration.ts'
import { type EchoApi, startEchoApi } from '../../examples/demo/echo.ts'
import { type CookieJar, login } from '../../examples/demo/login.ts'
import { type DemoProvider, type ProviderOptions, startProvider } from '../../examples/demo/provider.ts'
import { buildGateway } from '../../gateway/app.ts'
import { gatewayConfig } from '../../gateway/config/load.ts'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'
import type { AuditEvent, Store } from '../../plugin/index.ts'
import type { OneProvider } from './gateway-config.ts'

/** A gateway that listens, in front of a real provider and an API that counts. */
export interface GatewayStack {
  readonly publicUrl: string
  readonly port: number
  readonly app: FastifyInstance
  readonly provider: DemoProvider
  readonly api: EchoApi
  /** Everything the gateway logged, at trace level. */
  readonly log: () => string
  /** Audit events so far. */
  readonly events: readonly AuditEvent[]
  /** A user in a fresh browser: from the authorization URL to the redirect URI with its parameters. */
  signIn(authorizationUrl: URL | string, username?: string, cookieJar?: CookieJar): Promise<URL>
  /** Stops the provider; the returned function starts it again at the same address. */
  stopProvider(): Promise<() => Promise<void>>
}

/** What is not part of the gateway's configuration. */
export interface StackOptions {
  /** Laid over the gateway's registration at the provider. */
  readonly registration?: Partial<ClientMetadata>
  readonly provider?: Omit<ProviderOptions, 'port' | 'clients'>
  /** In place of the configured one, e.g. one that can be broken. Closed at teardown. */
  readonly store?: Store
  /** Where the listener itself speaks TLS. Default: http. */
  readonly scheme?: 'https'
}

/**
 * A port that is free, and below those that the system gives to outgoing connections: it can be opened again
 * after a while in which nobody listened there.
 */
export async function freePort(): Promise<number> {
  const port = randomInt(20_000, 30_000)
  const server = createServer()
  const isFree = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
  })
  if (!isFree) return freePort()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** @param change turns the demo's configuration into the one under test. */
export async function startGatewayStack(
  t: Test,
  change: (config: OneProvider) => GatewayInput = (config) => config,
  options: StackOptions = {},
): Promise<GatewayStack> {
  const port = await freePort()
  const publicUrl = `${options.scheme ?? 'http'}://127.0.0.1:${port}`
  const clients = [{ ...gatewayAtProvider(publicUrl), ...options.registration }]
  let provider = await startProvider({ ...options.provider, port: await freePort(), clients })
  const api = await startEchoApi()
  const lines: string[] = []
  const demo = demoConfiguration({
    publicUrl,
    port,
    adminPort: 0,
    providerIssuer: provider.issuer,
    apiOrigin: api.origin,
  })
  const config = gatewayConfig(
    change({ ...demo, rateLimit: false, log: { level: 'trace', requests: 'all' } }),
  )
  const app = await buildGateway(config, {
    ...(options.store && { store: options.store }),
    logStream: { write: (line) => lines.push(line) },
  })
  t.teardown(async () => {
    await app.close()
    await options.store?.close()
    await Promise.all([provider.close(), api.close()])
  })
  await app.listen({ host: '127.0.0.1', port })
  const events: AuditEvent[] = []
  app.pkce.events.on('*', (event) => events.push(event))
  return {
    publicUrl,
    port,
    app,
    get provider() {
      return provider
    },
    api,
    log: () => lines.join(''),
    events,
    async signIn(authorizationUrl, username = 'alice', cookieJar = new Map()) {
      const { redirectTo } = await login(String(authorizationUrl), {
        username,
        password: 'password',
        cookieJar,
      })
      return new URL(redirectTo)
    },
    async stopProvider() {
      const { port: providerPort } = provider
      await provider.close()
      return async () => {
        provider = await startProvider({ ...options.provider, port: providerPort, clients })
      }
    },
  }
}
