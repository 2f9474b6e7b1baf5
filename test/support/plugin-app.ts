import { createHash, randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import fastify, {
  type FastifyInstance,
  type FastifyServerOptions,
  type LightMyRequestResponse,
} from 'fastify'
import type { Test } from 'tap'
import pkce, {
  type AuditEvent,
  memoryStore,
  type PkceOptions,
  type ProviderOptions,
  type Store,
  StoreError,
  type StoreWatcher,
} from '../../plugin/index.ts'
import { type StubProvider, startStubProvider } from './stub-provider.ts'

export const PUBLIC_URL = 'https://api.example.com'
/** Where the metadata is: RFC 8414 §3, and where AppAuth looks for it. */
export const WELL_KNOWN = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']
export const REDIRECT_URI = 'https://app.example.com/callback'

/** A memory store whose clock a test turns, whose calls it counts, and which it can break, hold up and deafen. */
export interface TestStore extends Store {
  /** Calls by operation. */
  readonly calls: Record<string, number>
  /** Calls of all operations since the last time this was asked. */
  countCalls(): number
  advance(seconds: number): void
  /** From now on, or only for the n-th call of one operation from now (1: the next): throws `StoreError`. */
  fail(operation?: keyof Store, nth?: number): void
  /** The n-th call of the operation from now does its work, and its answer is lost: throws `StoreError`. */
  loseAnswer(operation: keyof Store, nth?: number): void
  heal(): void
  /** The next call of the operation does its work, and its answer waits for `release`. */
  hold(operation: keyof Store): { readonly reached: Promise<void>; release(): void }
  /** The next `count` calls of the operation are answered together, once all of them are there: a race for sure. */
  gather(operation: keyof Store, count: number): void
  /** The notification channel breaks: watchers are told, and hear nothing until it is `resume`d. */
  gap(): void
  resume(): void
  /** Every value that was ever written. */
  readonly written: string[]
  /** Everything that was ever handed to the store, keys and indexes included: more than a dump can hold. */
  readonly touched: string[]
}

const COUNTED = [
  'create',
  'read',
  'replace',
  'reserve',
  'addToIndex',
  'readIndex',
  'removeFromIndex',
  'check',
]

export function testStore(): TestStore {
  let offsetMs = 0
  let failing: { operation: string | undefined; countdown: number | undefined; late: boolean } | null = null
  let holding: { operation: string; reached: () => void; released: Promise<void> } | null = null
  let gathering: { operation: string; missing: number; all: Promise<void>; release(): void } | null = null
  let deaf = false
  const inner = memoryStore({ now: () => Date.now() + offsetMs })
  const calls: Record<string, number> = {}
  const written: string[] = []
  const touched: string[] = []
  const watchers = new Set<StoreWatcher>()
  let counted = 0

  const extra = {
    calls,
    written,
    touched,
    countCalls() {
      const total = Object.values(calls).reduce((sum, count) => sum + count, 0)
      const since = total - counted
      counted = total
      return since
    },
    advance: (seconds: number) => {
      offsetMs += seconds * 1000
    },
    fail: (operation?: keyof Store, nth?: number) => {
      failing = { operation, countdown: nth, late: false }
    },
    loseAnswer: (operation: keyof Store, nth = 1) => {
      failing = { operation, countdown: nth, late: true }
    },
    heal: () => {
      failing = null
    },
    hold(operation: keyof Store) {
      let reached = () => {}
      let release = () => {}
      const isReached = new Promise<void>((resolve) => {
        reached = resolve
      })
      const released = new Promise<void>((resolve) => {
        release = resolve
      })
      holding = { operation, reached, released }
      return { reached: isReached, release }
    },
    gather(operation: keyof Store, count: number) {
      let release = () => {}
      const all = new Promise<void>((resolve) => {
        release = resolve
      })
      gathering = { operation, missing: count, all, release: () => release() }
    },
    gap() {
      deaf = true
      for (const watcher of watchers) watcher.onGap()
    },
    resume() {
      deaf = false
      for (const watcher of watchers) watcher.onResume()
    },
    async watch(watcher: StoreWatcher) {
      watchers.add(watcher)
      return inner.watch({ ...hearing(watcher), onGap: () => {}, onResume: () => watcher.onResume() })
    },
  }

  function hearing(watcher: StoreWatcher): Pick<StoreWatcher, 'onChange'> {
    return { onChange: (key) => !deaf && watcher.onChange(key) }
  }

  /** `late`: an answer that gets lost. */
  function failsNow(name: string): { late: boolean } | null {
    if (!failing || (failing.operation !== undefined && failing.operation !== name)) return null
    const { late } = failing
    if (failing.countdown === undefined) return { late }
    failing.countdown -= 1
    if (failing.countdown > 0) return null
    failing = null
    return { late }
  }

  return new Proxy(inner, {
    get(target, name: string) {
      if (name in extra) return extra[name as keyof typeof extra]
      const value = target[name as keyof Store]
      if (typeof value !== 'function') return value
      if (!COUNTED.includes(name)) return value.bind(target)
      return async (...args: unknown[]) => {
        calls[name] = (calls[name] ?? 0) + 1
        touched.push(JSON.stringify(args))
        const text = args.find((arg) => typeof arg === 'string' && arg.startsWith('{'))
        if (typeof text === 'string') written.push(text)
        const failure = failsNow(name)
        if (failure && !failure.late) throw new StoreError('test', name, 'is broken on purpose')
        const result = await (value as (...args: unknown[]) => unknown).apply(target, args)
        if (failure) throw new StoreError('test', name, 'has lost its answer on purpose')
        if (holding?.operation === name) {
          const { reached, released } = holding
          holding = null
          reached()
          await released
        }
        if (gathering?.operation === name) {
          const { all, release } = gathering
          gathering.missing -= 1
          if (gathering.missing === 0) {
            gathering = null
            release()
          }
          await all
        }
        return result
      }
    },
  }) as TestStore
}

export interface PluginApp {
  readonly app: FastifyInstance
  readonly provider: StubProvider
  readonly store: TestStore
  readonly events: AuditEvent[]
  /** Everything that was logged, at trace level. */
  readonly log: () => string
  authorize(
    parameters?: Record<string, string | undefined>,
    headers?: Record<string, string>,
  ): Promise<Authorized>
  /** The provider's answer arrives: by default a good one, from the same browser. */
  callback(
    authorized: Authorized,
    query?: Record<string, string | undefined>,
    cookie?: string,
  ): Promise<LightMyRequestResponse>
  /** From the start to our code in the app's hands. */
  code(parameters?: Record<string, string | undefined>): Promise<{ code: string; authorized: Authorized }>
  /** POST to a route below `/oauth2`, e.g. `post('token', {…})`. Undefined values are left out. */
  post(
    route: string,
    form: Record<string, string | undefined>,
    headers?: Record<string, string>,
  ): Promise<LightMyRequestResponse>
  /** The token request for a code, with the right verifier. */
  redeem(code: string, form?: Record<string, string | undefined>): Promise<LightMyRequestResponse>
  /** A whole login. */
  login(parameters?: Record<string, string | undefined>): Promise<Tokens>
  refresh(refreshToken: string, form?: Record<string, string | undefined>): Promise<LightMyRequestResponse>
  /** A request to a route that requires a session. */
  call(accessToken: string): Promise<LightMyRequestResponse>
}

export interface Authorized {
  readonly response: LightMyRequestResponse
  /** Where the browser was sent. */
  readonly location: string
  /** The `Cookie` header of the browser that began. */
  readonly cookie: string
  /** Our state at the provider. */
  readonly state: string
  /** `code_challenge` at the provider. */
  readonly challenge: string | null
}

export interface Tokens {
  access_token: string
  refresh_token: string
  expires_in: number
  scope: string
  token_type: string
}

/** RFC 7636 Appendix B. */
export const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
export const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

export function newPair(): { verifier: string; challenge: string } {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}

/** What a test puts around the plugin. */
export interface Surroundings {
  /** Laid over the instance's own options, e.g. `trustProxy`. */
  fastify?: Omit<FastifyServerOptions, 'logger'>
  /** Done to the instance before the plugin is registered. */
  before?: (app: FastifyInstance) => unknown
  /** Done to it afterwards: routes of the test's own. */
  after?: (app: FastifyInstance) => unknown
  /** Laid over what the provider says of itself. */
  metadata?: (issuer: string) => Record<string, unknown>
  /** Another instance's, in place of one of its own. */
  provider?: StubProvider
  /** In place of the plugin as it is exported. */
  plugin?: typeof pkce
}

/**
 * A Fastify app with the plugin, a provider that obeys, and a store that can be broken; closed at teardown.
 * The route `/protected` requires a session with the scope `orders.read`.
 */
export async function startPluginApp(
  t: Pick<Test, 'teardown'>,
  overrides: Omit<Partial<PkceOptions>, 'provider'> & { provider?: Partial<ProviderOptions> } = {},
  surroundings: Surroundings = {},
): Promise<PluginApp> {
  const provider = surroundings.provider ?? (await startStubProvider())
  Object.assign(provider.metadata, surroundings.metadata?.(provider.issuer))
  const store = (overrides.store as TestStore | undefined) ?? testStore()
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const app = fastify({ ...surroundings.fastify, logger: { level: 'trace', stream } })
  t.teardown(async () => {
    await app.close()
    if (!surroundings.provider) await provider.close()
  })
  await surroundings.before?.(app)
  await app.register(surroundings.plugin ?? pkce, {
    publicUrl: PUBLIC_URL,
    clients: [
      {
        clientId: 'app',
        name: 'Example',
        redirectUris: [REDIRECT_URI, 'http://127.0.0.1/callback'],
        scopes: ['orders.read', 'orders.write'],
      },
      { clientId: 'other', redirectUris: [REDIRECT_URI], scopes: ['orders.read'] },
    ],
    rateLimit: false,
    ...overrides,
    store,
    ...(overrides.providers === undefined && {
      provider: {
        issuer: provider.issuer,
        clientId: 'gateway',
        clientSecret: 'gateway-secret',
        scope: 'api',
        ...overrides.provider,
      },
    }),
  } as PkceOptions)
  await surroundings.after?.(app)
  const events: AuditEvent[] = []
  app.pkce.events.on('*', (event) => events.push(event))
  app.get(
    '/protected',
    { onRequest: app.pkce.requireSession({ scopes: ['orders.read'] }) },
    async (request) => ({
      subject: request.pkceSession.subject,
      authorization: request.pkceSession.providerAuthorization,
    }),
  )

  const present = (values: Record<string, string | undefined>) =>
    new URLSearchParams(
      Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
    ).toString()

  const self: PluginApp = {
    app,
    provider,
    store,
    events,
    log: () => lines.join(''),
    async authorize(parameters = {}, headers = {}) {
      const query = present({
        client_id: 'app',
        redirect_uri: REDIRECT_URI,
        response_type: 'code',
        code_challenge: CHALLENGE,
        code_challenge_method: 'S256',
        state: 'app-state',
        ...parameters,
      })
      const response = await app.inject({ url: `/oauth2/authorize?${query}`, headers })
      const location = String(response.headers.location ?? '')
      const sent = location.startsWith(provider.issuer)
        ? new URL(location).searchParams
        : new URLSearchParams()
      provider.nonce = sent.get('nonce')
      const cookie = [response.headers['set-cookie'] ?? []].flat().map((line) => line.split(';', 1)[0]!)
      return {
        response,
        location,
        cookie: cookie.filter((pair) => !pair.endsWith('=')).join('; '),
        state: sent.get('state') ?? '',
        challenge: sent.get('code_challenge'),
      }
    },
    callback: ({ state, cookie: own }, query = {}, cookie = own) =>
      app.inject({
        url: `/oauth2/callback?${present({ state, ...('error' in query ? {} : { code: 'provider-code' }), ...query })}`,
        headers: { ...(cookie !== '' && { cookie }) },
      }),
    async code(parameters) {
      const authorized = await self.authorize(parameters)
      const response = await self.callback(authorized)
      const code = new URL(String(response.headers.location)).searchParams.get('code')
      if (!code) throw new Error(`no code: ${response.statusCode} ${response.body}`)
      return { code, authorized }
    },
    post: (route, form, headers = {}) =>
      app.inject({
        method: 'POST',
        url: `/oauth2/${route}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        payload: present(form),
      }),
    redeem: (code, form = {}) =>
      self.post('token', {
        grant_type: 'authorization_code',
        client_id: 'app',
        code,
        redirect_uri: REDIRECT_URI,
        code_verifier: VERIFIER,
        ...form,
      }),
    async login(parameters) {
      const { code } = await self.code(parameters)
      const response = await self.redeem(code, { client_id: parameters?.client_id ?? 'app' })
      if (response.statusCode !== 200) throw new Error(`no tokens: ${response.statusCode} ${response.body}`)
      return response.json() as Tokens
    },
    refresh: (refreshToken, form = {}) =>
      self.post('token', {
        grant_type: 'refresh_token',
        client_id: 'app',
        refresh_token: refreshToken,
        ...form,
      }),
    call: (accessToken) =>
      app.inject({ url: '/protected', headers: { authorization: `Bearer ${accessToken}` } }),
  }
  return self
}
