import { type Dispatcher, Pool } from 'undici'
import { CONNECTIONS } from '../peer.ts'

/** What the login servers of ours are given. */
export interface LoginArgument {
  readonly port: number
  /** Port of the provider. */
  readonly provider: number
}

/** What the provider gives for a code. */
export interface ProviderTokens {
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
}

/** How these servers are known at the provider: as the gateway is. */
export const CREDENTIALS = { id: 'gateway', secret: 'gateway-secret' }

/** The provider as a server without a promise to keep uses it: an address to send browsers to, and one call. */
export class Provider {
  readonly #callback: string
  readonly #authorize: string
  readonly #pool: Pool
  readonly #headers: readonly string[]

  constructor({ port, provider }: LoginArgument) {
    const origin = `http://127.0.0.1:${provider}`
    const redirectUri = `http://127.0.0.1:${port}/oauth2/callback`
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: CREDENTIALS.id,
      redirect_uri: redirectUri,
      scope: 'offline_access',
    })
    this.#authorize = `${origin}/authorize?${query}&state=`
    this.#callback = encodeURIComponent(redirectUri)
    this.#pool = new Pool(origin, { connections: CONNECTIONS, pipelining: 1 })
    const basic = Buffer.from(`${CREDENTIALS.id}:${CREDENTIALS.secret}`).toString('base64')
    const form = ['content-type', 'application/x-www-form-urlencoded', 'accept', 'application/json']
    this.#headers = ['host', `127.0.0.1:${provider}`, 'authorization', `Basic ${basic}`, ...form]
  }

  /** Where a login goes on. @param state of characters that a query need not encode. */
  authorizationUrl(state: string): string {
    return this.#authorize + state
  }

  /** One request to the token endpoint. @throws Error when it cannot be reached or does not answer 200. */
  redeem(code: string): Promise<ProviderTokens> {
    const body = `grant_type=authorization_code&code=${encodeURIComponent(code)}&redirect_uri=${this.#callback}`
    return new Promise((resolve, reject) => {
      this.#pool.dispatch(
        { path: '/token', method: 'POST', headers: this.#headers as string[], body },
        // The older interface, as in `bare`: it is the cheaper one.
        new Answer(resolve, reject) as Dispatcher.DispatchHandler,
      )
    })
  }
}

/** A whole answer of JSON. */
class Answer {
  readonly #resolve: (tokens: ProviderTokens) => void
  readonly #reject: (error: Error) => void
  readonly #chunks: Buffer[] = []
  #status = 0

  constructor(resolve: (tokens: ProviderTokens) => void, reject: (error: Error) => void) {
    this.#resolve = resolve
    this.#reject = reject
  }

  onConnect(): void {}

  onHeaders(status: number): boolean {
    this.#status = status
    return true
  }

  onData(chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    return true
  }

  onComplete(): void {
    const text = (this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)).toString()
    if (this.#status === 200) this.#resolve(JSON.parse(text) as ProviderTokens)
    else this.#reject(new Error(`the provider answers ${this.#status}: ${text}`))
  }

  onError(error: Error): void {
    this.#reject(error)
  }
}
