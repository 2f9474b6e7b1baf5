import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { type EchoApi, startEchoApi } from '../../../examples/demo/echo.ts'
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

/** A gateway that listens, between an app and an API, at providers of the test's. */
export interface TestedGateway {
  readonly publicUrl: string
  readonly api: EchoApi
  readonly app: NativeApp
  readonly gateway: FastifyInstance
  readonly store: TestStore
  /** Everything the gateway logged. */
  readonly log: () => string
  /** Whom the API sees behind an access token of ours. */
  subject(accessToken: string): Promise<string>
}

/** An address for `startGatewayAt`, so that it can be registered at providers first. */
export async function freePublicUrl(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}`
}

/** @param input what is tested: the provider or providers, and what else differs. */
export async function startGatewayAt(
  t: Test,
  publicUrl: string,
  input: Partial<GatewayInput>,
): Promise<TestedGateway> {
  const api = await startEchoApi()
  const store = testStore()
  t.teardown(() => Promise.all([store.close(), api.close()]))
  const host = '127.0.0.1'
  const port = Number(new URL(publicUrl).port)
  const lines: string[] = []
  const config = gatewayConfig({
    publicUrl,
    listen: { host, port },
    admin: { host, port: 0 },
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
        identityHeaders: { 'x-auth-subject': 'sub', 'x-auth-issuer': 'iss' },
      },
    ],
    rateLimit: false,
    log: { level: 'trace' },
    ...input,
  } as GatewayInput)
  const gateway = await buildGateway(config, { store, logStream: { write: (line) => lines.push(line) } })
  t.teardown(() => gateway.close())
  await gateway.listen({ host, port })
  const app = new NativeApp({ publicUrl, signIn })
  return {
    ...{ publicUrl, api, app, gateway, store },
    log: () => lines.join(''),
    async subject(accessToken) {
      const answer = await app.call(accessToken)
      if (answer.status !== 200) throw new Error(`call: ${answer.status} ${answer.text}`)
      return (answer.json.headers as Record<string, string>)['x-auth-subject']!
    },
  }
}

/** A user in a browser, who types a name where there is a field for it. */
export async function signIn(
  url: URL | string,
  username = 'alice',
  cookieJar: CookieJar = new Map(),
): Promise<URL> {
  const { redirectTo } = await login(String(url), { username, password: 'password', cookieJar })
  return new URL(redirectTo)
}

/** A gateway with a preset and its blanks, at the stub of that provider. */
export interface PresetGateway extends TestedGateway {
  readonly stub: ProviderStub
}

/** @param change turns the preset and its blanks into what is tested. */
export async function startPresetGateway(
  t: Test,
  preset: PresetName,
  change: Partial<NonNullable<GatewayInput['provider']>> = {},
): Promise<PresetGateway> {
  const stub = await startStub(t, FACTS[preset])
  const publicUrl = await freePublicUrl()
  stub.redirectUri = `${publicUrl}/oauth2/callback`
  const provider = { ...withBlanks(preset), ...change } as NonNullable<GatewayInput['provider']>
  return { stub, ...(await startGatewayAt(t, publicUrl, { provider })) }
}
