/** Gateway processes on one store, as they are deployed: N of them behind a round robin, one public URL. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { request as requestTo } from 'undici'
import { demoConfiguration, gatewayAtProvider } from '../../examples/demo/configuration.ts'
import { type EchoApi, startEchoApi } from '../../examples/demo/echo.ts'
import { login } from '../../examples/demo/login.ts'
import { type DemoProvider, type ProviderOptions, startProvider } from '../../examples/demo/provider.ts'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'
import { type Balancer, startBalancer } from './balancer.ts'
import { compiledGateway } from './compiled-gateway.ts'
import type { OneProvider } from './gateway-config.ts'
import type { GatewayStack } from './gateway-stack.ts'
import { type Answer, send } from './native-app.ts'
import { type Owner, type SharedStore, startSharedStore } from './shared-store.ts'
import { json, type StubProvider, startStubProvider } from './stub-provider.ts'
import { startTied, type TiedProcess } from './tied-process.ts'

/** Turns the configuration of one instance into the one under test. */
export type Change = (config: OneProvider, index: number) => GatewayInput | Promise<GatewayInput>

export interface InstancesOptions {
  /** Default 3. */
  readonly count?: number
  /** A kind, or one that runs already. */
  readonly store: 'redis' | 'redis-cluster' | 'postgres' | SharedStore
  /** `real` (oidc-provider) for whole logins, `stub` for fast ones, and to count, delay and refuse. Default `real`. */
  readonly provider?: 'real' | 'stub'
  /** Of the real one. */
  readonly providerOptions?: Omit<ProviderOptions, 'port' | 'clients'>
  readonly change?: Change
  /** For `node`, e.g. `--inspect=127.0.0.1:0`. */
  readonly nodeArgs?: readonly string[]
}

/** A request past the round robin. */
export interface DirectRequest {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** One process: `node gateway/main.ts --config FILE`. */
export interface Instance {
  readonly index: number
  readonly pid: number
  /** Of its own listener, past the round robin; only `send` finds the right `Host`. */
  readonly url: string
  readonly adminUrl: string
  /** Everything it wrote, of all its lives. */
  log(): string
  /** The audit events among it. */
  events(): Record<string, unknown>[]
  isReady(): Promise<boolean>
  /** A request past the round robin. */
  send(path: string, request?: DirectRequest): Promise<Answer>
  /** E.g. SIGSTOP and SIGCONT. */
  signal(signal: NodeJS.Signals): void
  /** SIGTERM drains it; SIGKILL ends it where it stands. Waits until it is gone. */
  end(signal?: NodeJS.Signals): Promise<void>
  /** Its configuration, as the next start or reload reads it. */
  configure(change: Change): Promise<void>
  /** A new process after `end`, ready; from now on with another configuration if `change` says so. */
  start(change?: Change): Promise<void>
}

/** The whole of it. It fits where `NativeApp` and `Browser` ask for a stack. */
export interface Instances extends Pick<GatewayStack, 'publicUrl' | 'signIn'> {
  readonly instances: readonly Instance[]
  readonly balancer: Balancer
  readonly store: SharedStore
  /** The server secrets. */
  readonly secrets: readonly string[]
  readonly api: EchoApi
  /** @throws Error when it is the stub. */
  readonly provider: DemoProvider
  /** @throws Error when it is the real one. */
  readonly stub: StubProvider
  /** The stub's tokens live so long from now on. Default 3600. */
  setProviderLife(seconds: number): void
  /** Requests to the provider's token endpoint so far. */
  tokenCalls(): number
}

/**
 * Starts everything and waits until every instance is ready. All of it ends at teardown, and with this process.
 *
 * @returns why the store cannot be had here, for `skip`; it has been said on stderr too.
 */
export async function startInstances(t: Owner, options: InstancesOptions): Promise<Instances | string> {
  const { count = 3, change = (config) => config, nodeArgs = [] } = options
  const store = typeof options.store === 'string' ? await startSharedStore(t, options.store) : options.store
  if (typeof store === 'string') return store

  const running: Process[] = []
  const balancer = await startBalancer(() => running.map(({ origin }) => origin))
  const publicUrl = `http://127.0.0.1:${balancer.port}`
  const api = await startEchoApi()
  const clients = [gatewayAtProvider(publicUrl)]
  const real =
    options.provider === 'stub'
      ? undefined
      : await startProvider({ ...options.providerOptions, port: 0, clients })
  const stub = real === undefined ? await startStubProvider() : undefined
  const folder = mkdtempSync(join(tmpdir(), 'pkce-instances-'))
  t.teardown(async () => {
    await Promise.all(running.map((instance) => instance.end('SIGKILL')))
    await Promise.all([balancer.close(), api.close(), real?.close(), stub?.close()])
    rmSync(folder, { recursive: true, force: true })
  })

  const life = { seconds: 3600 }
  const secrets = [randomBytes(32).toString('base64url')]
  const issuer = real?.issuer ?? stub!.issuer
  const demo = demoConfiguration({
    publicUrl,
    port: 0,
    adminPort: 0,
    providerIssuer: issuer,
    apiOrigin: api.origin,
  })
  const base: OneProvider = {
    ...demo,
    store: store.settings,
    secrets,
    rateLimit: false,
    // Everybody comes from one address here.
    limits: { transactionsPerAddress: 100_000 },
    log: { level: 'info' },
  }
  for (let index = 0; index < count; index++)
    running.push(new Process(index, base, publicUrl, folder, nodeArgs))
  await Promise.all(running.map((instance) => instance.start(change)))

  return {
    publicUrl,
    instances: running,
    balancer,
    store,
    secrets,
    api,
    get provider() {
      if (real === undefined) throw new Error('the provider is the stub')
      return real
    },
    get stub() {
      if (stub === undefined) throw new Error('the provider is the real one')
      return stub
    },
    setProviderLife(seconds) {
      life.seconds = seconds
    },
    tokenCalls: () => real?.calls.get('/token') ?? stub?.count('/token') ?? 0,
    signIn: stub ? signInAtStub(stub, publicUrl, life) : signInAtProvider,
  }
}

const signInAtProvider: GatewayStack['signIn'] = async (
  authorizationUrl,
  username = 'alice',
  cookieJar = new Map(),
) => {
  const { redirectTo } = await login(String(authorizationUrl), { username, password: 'password', cookieJar })
  return new URL(redirectTo)
}

/**
 * Two requests in all. The stub then answers for each code with that login's subject and nonce.
 *
 * @param life how long its tokens live.
 */
export function signInAtStub(
  stub: StubProvider,
  publicUrl: string,
  life: { readonly seconds: number },
  ask = send,
): GatewayStack['signIn'] {
  const logins = new Map<string, { sub: string; nonce: string | null }>()
  let issued = 0
  stub.behave.token = async ({ form }, response) => {
    const known = logins.get(form.get('code') ?? '')
    issued += 1
    json(response, 200, {
      access_token: `provider-access-${issued}-${randomBytes(12).toString('hex')}`,
      refresh_token: `provider-refresh-${issued}-${randomBytes(12).toString('hex')}`,
      token_type: 'Bearer',
      expires_in: life.seconds,
      ...(known && {
        id_token: await stub.idToken({ email: `${known.sub}@example.com`, name: known.sub, ...known }),
      }),
    })
  }
  return (authorizationUrl, username = 'alice') =>
    signInByCode(
      publicUrl,
      authorizationUrl,
      (asked) => {
        const code = `stub-code-${randomBytes(16).toString('hex')}`
        logins.set(code, { sub: username, nonce: asked.get('nonce') })
        return code
      },
      ask,
    )
}

/**
 * A browser whose user is asked for nothing: from the authorization URL to the redirect URI, in two requests.
 *
 * @param issueCode the provider's code for the parameters of its authorization request.
 * @param ask makes each request, e.g. again where it is told to.
 */
export async function signInByCode(
  publicUrl: string,
  authorizationUrl: URL | string,
  issueCode: (asked: URLSearchParams) => string,
  ask = send,
): Promise<URL> {
  const begun = await ask(authorizationUrl)
  const location = begun.headers.get('location')
  if (location === null) throw new Error(`authorize: ${begun.status} ${begun.text}`)
  const asked = new URL(location).searchParams
  const cookie = begun.headers.getSetCookie().map((line) => line.split(';', 1)[0]!)
  const query = new URLSearchParams({ code: issueCode(asked), state: asked.get('state') ?? '' })
  const answer = await ask(`${publicUrl}/oauth2/callback?${query}`, {
    headers: { cookie: cookie.join('; ') },
  })
  const redirect = answer.headers.get('location') ?? /<a href="([^"]*)"/.exec(answer.text)?.[1]
  if (redirect === undefined) throw new Error(`callback: ${answer.status} ${answer.text}`)
  return new URL(redirect.replaceAll('&amp;', '&'))
}

class Process implements Instance {
  readonly index: number
  url = ''
  adminUrl = ''
  readonly #file: string
  readonly #host: string
  readonly #nodeArgs: readonly string[]
  readonly #lines: string[] = []
  #config: GatewayInput
  #process: TiedProcess | undefined

  constructor(
    index: number,
    config: GatewayInput,
    publicUrl: string,
    folder: string,
    nodeArgs: readonly string[],
  ) {
    this.index = index
    this.#nodeArgs = nodeArgs
    this.#config = config
    this.#host = new URL(publicUrl).host
    this.#file = join(folder, `gateway-${index}.yaml`)
  }

  /** Where it listens, or null while it is down. */
  get origin(): string | null {
    return this.#process === undefined ? null : this.url
  }

  get pid(): number {
    if (this.#process === undefined) throw new Error(`instance ${this.index} is down`)
    return this.#process.pid
  }

  log(): string {
    return this.#lines.join('\n')
  }

  events(): Record<string, unknown>[] {
    return this.#lines.filter((line) => line.includes('"event":')).map((line) => JSON.parse(line))
  }

  async isReady(): Promise<boolean> {
    return fetch(`${this.adminUrl}/readyz`).then(
      async (answer) => {
        await answer.text()
        return answer.ok
      },
      () => false,
    )
  }

  async send(path: string, { headers, ...request }: DirectRequest = {}): Promise<Answer> {
    // `fetch` knows better than we do what Host should be.
    const {
      statusCode,
      headers: fields,
      body,
    } = await requestTo(this.url + path, {
      ...request,
      headers: { host: this.#host, ...headers },
    })
    const text = await body.text()
    return {
      status: statusCode,
      headers: new Headers(fields as Record<string, string>),
      text,
      get json() {
        return JSON.parse(text) as Record<string, unknown>
      },
    }
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal)
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const ending = this.#process
    await ending?.end(signal)
    if (this.#process === ending) this.#process = undefined
  }

  async configure(change: Change): Promise<void> {
    this.#config = await change(this.#config as OneProvider, this.index)
    // JSON is YAML.
    writeFileSync(this.#file, JSON.stringify(this.#config))
  }

  async start(change: Change = (config) => config): Promise<void> {
    await this.configure(change)
    const command = [process.execPath, ...this.#nodeArgs, await compiledGateway(), '--config', this.#file]
    const started = await startTied(
      command,
      '"gateway ready"',
      {},
      {
        lastSignal: 'KILL',
        onLine: (line) => this.#hear(line),
      },
    )
    while (!(await this.isReady())) await new Promise((resolve) => setTimeout(resolve, 20))
    this.#process = started
  }

  #hear(line: string): void {
    this.#lines.push(line)
    if (!line.includes('"gateway ready"')) return
    const { address, adminAddress } = JSON.parse(line)
    this.url = address
    this.adminUrl = adminAddress
  }
}
