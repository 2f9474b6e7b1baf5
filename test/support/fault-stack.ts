import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { demoConfiguration } from '../../examples/demo/configuration.ts'
import { type EchoApi, startEchoApi } from '../../examples/demo/echo.ts'
import { buildGateway } from '../../gateway/app.ts'
import { gatewayConfig } from '../../gateway/config/load.ts'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'
import type { AuditEvent } from '../../plugin/index.ts'
import { statements } from '../../plugin/stores/postgres/statements.ts'
import { addToIndex, create, read, replace } from '../../plugin/stores/redis/scripts.ts'
import { credentialsIn } from './credentials.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import type { OneProvider } from './gateway-config.ts'
import { freePort } from './gateway-stack.ts'
import { type Answer, type Attempt, NativeApp, send } from './native-app.ts'
import type { SharedStore } from './shared-store.ts'
import { json, type StubProvider, startStubProvider } from './stub-provider.ts'
import { recordTraffic } from './traffic.ts'

/** The operations of a store on records, by which a fault finds its message on the wire. */
export type Operation = keyof typeof scripts

const scripts = { create, read, replace, addToIndex }

/** The hash of the script, or the name of the statement. */
export function markOf(store: SharedStore, operation: Operation): string {
  return store.kind === 'postgres' ? statements('pkce')[operation].name : scripts[operation].sha1
}

/** A login that has come back from the provider: the URL that the browser opens, with its cookie. */
export interface Return {
  readonly attempt: Attempt
  readonly url: string
  readonly cookie: string
}

/** A gateway of this process, a provider that obeys, an API that counts, and a store behind a faulty network. */
export interface FaultStack {
  readonly gateway: FastifyInstance
  readonly native: NativeApp
  readonly provider: StubProvider
  readonly api: EchoApi
  readonly proxy: FaultProxy
  readonly events: readonly AuditEvent[]
  /** Everything that was logged, at trace level. */
  readonly log: () => string
  /** Every credential that anybody issued or presented so far. */
  credentials(): Set<string>
  /** The n-th call of the operation from now meets the fault. */
  strike(operation: Operation, fault: Parameters<FaultProxy['strike']>[1], nth?: number): Promise<void>
  /** The authorization request. */
  authorize(attempt: Attempt): Promise<Answer>
  /** From the authorization request to the provider's answer, which the browser has not opened yet. */
  atProvider(): Promise<Return>
  callback(from: Omit<Return, 'attempt'>): Promise<Answer>
  /** Our code, in the hands of the app. */
  code(): Promise<Attempt & { code: string }>
  /** The provider's next tokens live so long. */
  setProviderLife(seconds: number): void
  /** Heals, and waits until the store answers. Resolves to how long that took, in milliseconds. */
  recover(): Promise<number>
  /** Requests to the token and revocation endpoints of the provider, and to the API, since this was last asked. */
  counts(): { token: number; revoke: number; api: number }
}

/** Long enough for a store that was restarted, and for the longest pause between two attempts to connect. */
const RECOVERY_MS = 8000

/** @param change turns the configuration into the one under test. */
export async function startFaultStack(
  t: Test,
  store: SharedStore,
  change: (config: OneProvider) => GatewayInput = (config) => config,
): Promise<FaultStack> {
  const serverUrl = new URL(store.settings.url ?? '')
  const proxy = await startFaultProxy(Number(serverUrl.port))
  t.teardown(() => proxy.stop())
  serverUrl.port = String(proxy.port)
  const port = await freePort()
  const publicUrl = `http://127.0.0.1:${port}`
  const provider = await startStubProvider()
  t.teardown(() => provider.close())
  const api = await startEchoApi()
  t.teardown(() => api.close())
  const demo = demoConfiguration({
    publicUrl,
    port,
    adminPort: 0,
    providerIssuer: provider.issuer,
    apiOrigin: api.origin,
  })
  const config = gatewayConfig(
    change({
      ...demo,
      provider: { ...demo.provider, scope: 'openid' },
      clients: demo.clients.map((client) => ({ ...client, interaction: 'none' as const })),
      secrets: [randomBytes(32).toString('base64url')],
      store: { ...store.settings, url: serverUrl.href },
      limits: { transactionsPerAddress: 100_000 },
      rateLimit: false,
      log: { level: 'trace' },
    }),
  )
  const lines: string[] = []
  const traffic = recordTraffic(t)
  const ports = new Set([port, Number(new URL(provider.issuer).port), api.port])
  const gateway = await buildGateway(config, { logStream: { write: (line) => lines.push(line) } })
  t.teardown(async () => {
    proxy.heal()
    await gateway.close()
  })
  await gateway.listen({ host: '127.0.0.1', port })
  const events: AuditEvent[] = []
  gateway.pkce.events.on('*', (event) => events.push(event))

  /** Of the logins that have come back, by the provider's code. */
  const nonces = new Map<string, string>()
  let issued = 0
  let lifeSeconds = 3600
  provider.behave.token = async ({ form }, response) => {
    const nonce = nonces.get(form.get('code') ?? '')
    const id_token = nonce === undefined ? undefined : await provider.idToken({ nonce })
    issued += 1
    json(response, 200, {
      access_token: `provider-access-${issued}-${randomBytes(12).toString('hex')}`,
      refresh_token: `provider-refresh-${issued}-${randomBytes(12).toString('hex')}`,
      token_type: 'Bearer',
      expires_in: lifeSeconds,
      id_token,
    })
    lifeSeconds = 3600
  }

  const counted = { token: 0, revoke: 0, api: 0 }
  const native = new NativeApp({
    publicUrl,
    async signIn(url) {
      const answer = await self.callback(followed(await send(url)))
      return new URL(answer.headers.get('location') ?? '')
    },
  })
  function followed(answer: Answer): Omit<Return, 'attempt'> {
    const location = answer.headers.get('location')
    if (location === null) throw new Error(`authorize: ${answer.status} ${answer.text}`)
    const asked = new URL(location).searchParams
    const state = asked.get('state') ?? ''
    const code = `provider-code-${randomBytes(16).toString('hex')}`
    nonces.set(code, asked.get('nonce') ?? '')
    const cookie = answer.headers.getSetCookie().map((line) => line.split(';', 1)[0]!)
    return {
      url: `${publicUrl}/oauth2/callback?${new URLSearchParams({ code, state })}`,
      cookie: cookie.join('; '),
    }
  }

  const self: FaultStack = {
    gateway,
    native,
    provider,
    api,
    proxy,
    events,
    log: () => lines.join(''),
    credentials: () => credentialsIn(traffic.filter((exchange) => ports.has(exchange.port))),
    strike: (operation, fault, nth) => proxy.strike(markOf(store, operation), fault, nth),
    authorize: (attempt) => send(attempt.url),
    async atProvider() {
      const attempt = native.begin()
      return { attempt, ...followed(await self.authorize(attempt)) }
    },
    callback: ({ url, cookie }) => send(url, { headers: { cookie } }),
    async code() {
      const from = await self.atProvider()
      const answer = await self.callback(from)
      const code = new URL(answer.headers.get('location') ?? '').searchParams.get('code')
      if (code === null) throw new Error(`callback: ${answer.status} ${answer.text}`)
      return { ...from.attempt, code }
    },
    setProviderLife(seconds) {
      lifeSeconds = seconds
    },
    async recover() {
      const startedAt = performance.now()
      proxy.heal()
      for (;;) {
        const { store: problem } = await gateway.pkce.readiness()
        const tookMs = performance.now() - startedAt
        if (problem === null) return tookMs
        if (tookMs > RECOVERY_MS) throw new Error(`no recovery: ${problem}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    counts() {
      const now = { token: provider.count('/token'), revoke: provider.count('/revoke'), api: api.requests }
      const since = {
        token: now.token - counted.token,
        revoke: now.revoke - counted.revoke,
        api: now.api - counted.api,
      }
      Object.assign(counted, now)
      return since
    },
  }
  return self
}
