import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { startEchoApi } from '../../../examples/demo/echo.ts'
import { type CookieJar, login } from '../../../examples/demo/login.ts'
import { buildGateway } from '../../../gateway/app.ts'
import { gatewayConfig } from '../../../gateway/config/load.ts'
import type { GatewayInput } from '../../../gateway/config/schemas/gateway.ts'
import type { PresetName } from '../../../plugin/options/provider/presets/presets.ts'
import { freePort } from '../gateway-stack.ts'
import { NativeApp } from '../native-app.ts'
import { type TestStore, testStore } from '../plugin-app.ts'
import { type ProviderStub, startStub } from './stub.ts'
import { FACTS, withBlanks } from './stubs.ts'

/** A gateway with a preset and its blanks, between an app and an API, at the stub of that provider. */
export interface PresetGateway {
  readonly stub: ProviderStub
  readonly app: NativeApp
  readonly gateway: FastifyInstance
  readonly store: TestStore
  /** Everything the gateway logged. */
  readonly log: () => string
  /** Whom the API sees behind an access token of ours. */
  subject(accessToken: string): Promise<string>
}

/** @param change turns the preset and its blanks into what is tested. */
export async function startPresetGateway(
  t: Test,
  preset: PresetName,
  change: Partial<NonNullable<GatewayInput['provider']>> = {},
): Promise<PresetGateway> {
  const stub = await startStub(t, FACTS[preset])
  const api = await startEchoApi()
  const store = testStore()
  const port = await freePort()
  const publicUrl = `http://127.0.0.1:${port}`
  stub.redirectUri = `${publicUrl}/oauth2/callback`
  const lines: string[] = []
  const config = gatewayConfig({
    publicUrl,
    listen: { host: '127.0.0.1', port },
    admin: { host: '127.0.0.1', port: 0 },
    provider: { ...withBlanks(preset), ...change } as NonNullable<GatewayInput['provider']>,
    clients: [
      {
        clientId: 'com.example.app',
        redirectUris: ['com.example.app:/callback'],
        scopes: ['orders.read'],
        claims: ['email', 'name', 'picture'],
      },
    ],
    upstreams: [
      {
        prefix: '/api',
        target: api.origin,
        scopes: ['orders.read'],
        identityHeaders: { 'x-auth-subject': 'sub' },
      },
    ],
    rateLimit: false,
    log: { level: 'trace' },
  })
  const gateway = await buildGateway(config, { store, logStream: { write: (line) => lines.push(line) } })
  t.teardown(async () => {
    await gateway.close()
    await Promise.all([store.close(), api.close()])
  })
  await gateway.listen({ host: '127.0.0.1', port })
  const app = new NativeApp({
    publicUrl,
    async signIn(url, _username, cookieJar: CookieJar = new Map()) {
      const { redirectTo } = await login(String(url), { username: '', password: '', cookieJar })
      return new URL(redirectTo)
    },
  })
  return {
    ...{ stub, app, gateway, store },
    log: () => lines.join(''),
    async subject(accessToken) {
      const answer = await app.call(accessToken)
      if (answer.status !== 200) throw new Error(`call: ${answer.status} ${answer.text}`)
      return (answer.json.headers as Record<string, string>)['x-auth-subject']!
    },
  }
}
