/** The real thing: two instances of the plugin on one store, and what apps hold of it. */
import type { Test } from 'tap'
import type { Store } from '../../plugin/index.ts'
import { type PluginApp, REDIRECT_URI, startPluginApp } from '../support/plugin-app.ts'
import { type Login, type Sending, send } from './apps.ts'
import { type Crash, type InstanceStore, instanceStore, World } from './instance-store.ts'
import type { ModelProvider } from './provider.ts'
import { LIFETIMES, type Request } from './requests.ts'

const secrets = [5, 6].map((byte) => Buffer.alloc(32, byte).toString('base64url'))
/** As long as a request waits for somebody else's lease (D-09). */
const PATIENCE_SECONDS = 5
/** A breaker opens after five failures in a row (F-12), and a refresh may try twice. */
const TROUBLES_MAX = 2
/** No answer takes so long in a world whose time stands still. */
const ANSWER_MS = 10_000

/** One request of an app, a browser or an administrator. */
export interface Ask extends Sending {
  /** Index of the login. */
  readonly login: number
  readonly instance: 0 | 1
  readonly crash?: Crash | undefined
}

/** What came of it. */
export interface Seen {
  /** As the model says it. */
  readonly answer: string | undefined
  /** The instance died of it, or of another request. */
  readonly crashed: boolean
}

interface Instance {
  readonly app: PluginApp
  readonly store: InstanceStore
  /** The provider's last key that it is known to know. */
  key: number
  /** Times that it has met the provider in vain, since it has met it well. */
  troubles: number
  end(): Promise<void>
}

export class Deployment {
  readonly #world = new World()
  #logins: Login[] = []
  #sequence = 0
  #beganAt = 0
  #started = 0
  readonly #stores: readonly Store[]
  readonly #provider: ModelProvider
  readonly #instances: Instance[] = []

  /** @param stores of the instances, each with connections of its own. */
  constructor(stores: readonly [Store, Store], provider: ModelProvider) {
    this.#stores = stores
    this.#provider = provider
  }

  /** Fresh instances. */
  async start(): Promise<void> {
    for (const index of this.#stores.keys()) await this.restart(index)
  }

  async close(): Promise<void> {
    for (const { end } of this.#instances) await end()
  }

  /** What should never be, in words. */
  get violations(): readonly string[] {
    return [...this.#world.violations, ...this.#provider.violations]
  }

  /** A fresh instance takes the place of another. Server secrets change their order, and each opens what each has sealed. */
  async restart(index: number): Promise<void> {
    const store = await instanceStore(this.#stores[index]!, this.#world)
    const endings: (() => unknown)[] = []
    const teardown = ((end: () => unknown) => endings.push(end)) as unknown as Test['teardown']
    this.#started += 1
    const client = { redirectUris: [REDIRECT_URI, 'https://app.example.com/other'], scopes: ['orders.read'] }
    const app = await startPluginApp(
      { teardown },
      {
        store,
        secrets: this.#started % 2 === 0 ? secrets : secrets.toReversed(),
        lifetimes: LIFETIMES,
        clients: [
          { ...client, clientId: 'app' },
          { ...client, clientId: 'repeating', repeatableExchange: true },
          { ...client, clientId: 'other' },
        ],
        resourceServers: [{ clientId: 'orders', clientSecret: 'orders-secret' }],
        provider: { scope: 'openid' },
      },
      { provider: this.#provider.stub },
    )
    const end = async () => {
      store.unwatch()
      for (const ending of endings) await ending()
    }
    await this.#instances[index]?.end()
    this.#instances[index] = { app, store, key: 0, troubles: 0, end }
  }

  /** A browser begins. */
  async begin({ instance, subject, clientId }: { instance: 0 | 1; subject: string; clientId: string }) {
    const authorized = await this.#instances[instance]!.app.authorize({ client_id: clientId })
    const nonce = new URL(authorized.location).searchParams.get('nonce')
    const person = { subject: `${subject} ${this.#sequence}`, nonce }
    const providerCode = this.#provider.signIn(person)
    this.#logins.push({ clientId, subject: person.subject, authorized, providerCode, tokens: [], held: 0 })
  }

  /** Other people log in from now on, on the same instances. */
  forget(): void {
    this.#world.forget()
    this.#provider.forget()
    this.#logins = []
    this.#sequence += 1
    this.#beganAt = this.#world.nowMs
  }

  /** In seconds since `forget`. */
  get now(): number {
    return (this.#world.nowMs - this.#beganAt) / 1000
  }

  pass(seconds: number): void {
    this.#world.advance(seconds)
  }

  /** What the app of a login has got. */
  holds(login: number): { hasCode: boolean; held: number } {
    const { code, held } = this.#logins[login]!
    return { hasCode: code !== undefined, held }
  }

  /** The request, with the provider as this instance finds it. */
  feel({ instance, request }: Ask): Request {
    const isKnown = this.#instances[instance]!.key === this.#provider.key
    // Nobody is somebody else at a login.
    const isGood = request.kind === 'redeem' && ['well', 'other subject'].includes(request.provider)
    return isGood && !isKnown ? { ...request, provider: 'new key' } : request
  }

  rotateKey(): Promise<void> {
    return this.#provider.rotateKey()
  }

  /**
   * Makes all the requests at once, and waits until nothing more happens. Whoever died of it is replaced.
   *
   * @param mayWait one of them may find a lease that nobody will give back: its time is made to pass.
   */
  async ask(
    asks: readonly Ask[],
    { mayWait, turns }: { mayWait: boolean; turns: readonly number[] },
  ): Promise<Seen[]> {
    const mood = asks.map(({ request }) => ('provider' in request ? request.provider : 'well'))
    this.#provider.mood = mood.find((one) => one !== 'well') ?? 'well'
    const comeBack = this.#provider.mood === 'absent' ? await this.#provider.leave() : undefined
    for (const { store } of this.#instances) store.turns = turns
    for (const { instance, crash } of asks) if (crash) this.#instances[instance]!.store.crashAt(crash)

    const { exchanges } = this.#provider
    const deaths = this.#instances.map(({ store }) => store.deaths)
    const all = Promise.all(
      asks.map((ask) => {
        const { app, store } = this.#instances[ask.instance]!
        return store.live(() => send(app, this.#logins[ask.login]!, ask))
      }),
    )
    await this.#letPass(all, mayWait).finally(comeBack)
    const answers = await all
    await this.#settle()

    const hasCrashed = this.#instances.map(({ store }, index) => store.deaths > deaths[index]!)
    if (hasCrashed.includes(true)) this.#provider.excuse()
    for (const [n, { instance }] of asks.entries()) {
      if (answers[n]?.startsWith('503')) this.#instances[instance]!.troubles += 1
    }
    const redeemed = asks.filter(
      ({ request }, n) => request.kind === 'redeem' && answers[n]?.startsWith('200'),
    )
    if (this.#provider.exchanges > exchanges && redeemed.length === 1) {
      const { key } = this.#provider
      Object.assign(this.#instances[redeemed[0]!.instance]!, { key, troubles: 0 })
    }
    for (const [index, { store, troubles }] of this.#instances.entries()) {
      store.crashAt(undefined)
      const isReplaced = asks.some(({ instance, crash }) => instance === index && crash?.fresh)
      if ((hasCrashed[index] && isReplaced) || troubles >= TROUBLES_MAX) await this.restart(index)
    }
    return asks.map(({ instance }, n) => ({ answer: answers[n], crashed: hasCrashed[instance]! }))
  }

  async #settle(): Promise<void> {
    const deadline = performance.now() + ANSWER_MS
    for (let quiet = 0; quiet < 5; ) {
      if (performance.now() > deadline) throw new Error('the instances never came to rest')
      await new Promise((resolve) => setImmediate(resolve))
      quiet = this.#instances.every(({ store }) => store.isQuiet()) ? quiet + 1 : 0
    }
  }

  /** While somebody waits for a lease, the time of his patience passes. @throws Error when nothing else helps. */
  async #letPass(all: Promise<unknown>, mayWait: boolean): Promise<void> {
    const deadline = performance.now() + ANSWER_MS
    const done = all.then(() => true)
    const pause = () => new Promise<false>((resolve) => setTimeout(() => resolve(false), 20))
    for (let count = -1; !(await Promise.race([done, pause()])); ) {
      const now = this.#instances.reduce((sum, { store }) => sum + store.operations, 0)
      if (mayWait && now === count && this.#provider.isIdle) {
        this.#world.advance(PATIENCE_SECONDS)
        for (const { store } of this.#instances) store.wake()
      }
      if (performance.now() > deadline) throw new Error('a request that is never answered')
      count = now
    }
  }
}
