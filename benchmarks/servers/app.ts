import { hash } from 'node:crypto'
import { Pool } from 'undici'
import type { Secure } from '../load/plan.ts'
import { tlsOptions } from '../load/secure.ts'

/** The app that the benchmarks play: an https redirect, so no page stands between provider and app. */
export const CLIENT_ID = 'com.example.benchmark'
export const REDIRECT_URI = 'https://app.example.com/callback'

const CODE_VERIFIER = 'a-code-verifier-of-forty-three-characters-or-more'
const CODE_LIFE_MS = 60_000
const CONCURRENT = 16
/** oidc-provider needs three. */
const HOPS_MAX = 5

/** Where a login begins: path and query. */
export const authorizationPath = `/oauth2/authorize?${new URLSearchParams({
  response_type: 'code',
  client_id: CLIENT_ID,
  redirect_uri: REDIRECT_URI,
  scope: 'orders.read',
  state: 'state-of-the-app',
  code_challenge: hash('sha256', CODE_VERIFIER, 'base64url'),
  code_challenge_method: 'S256',
})}`

/** A login that has come back from the provider: the way of its browser to the server. */
export interface ReturnFromProvider {
  readonly path: string
  /** The value of the field. */
  readonly cookie: string
}

/** What a login ends with. */
export interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
}

/** A whole login at the server: authorize, callback if it asks a provider, token. @throws Error when an answer is not as expected. */
export async function signIn(port: number, secure?: Secure): Promise<Tokens> {
  const [tokens] = await signInMany(port, 1, secure)
  return tokens!
}

/** @see signIn */
export function signInMany(port: number, count: number, secure?: Secure): Promise<Tokens[]> {
  return withServer(serverAt(port, secure), Array(count).fill(null), async (server) => {
    return await requestTokens(server, codeForm(await new Browser(server, port).toApp()))
  })
}

/**
 * So many codes, each to be redeemed once. They live for a minute, so there are fewer where half of it is over before:
 * the rest of it is for redeeming them.
 */
export async function obtainCodes(port: number, count: number): Promise<string[]> {
  const deadline = Date.now() + CODE_LIFE_MS / 2
  const codes = await withServer(serverAt(port), Array(count).fill(null), async (server) =>
    Date.now() < deadline ? [await new Browser(server, port).toApp()] : [],
  )
  return codes.flat()
}

/** So many logins up to the provider's answer, which the server has not seen yet. */
export function beginMany(port: number, count: number): Promise<ReturnFromProvider[]> {
  return withServer(serverAt(port), Array(count).fill(null), (server) =>
    new Browser(server, port).toProvider(),
  )
}

/** Refreshes each of them. @returns what came instead, in no order. */
export function refreshMany(port: number, tokens: readonly Tokens[]): Promise<Tokens[]> {
  return withServer(serverAt(port), tokens, (server, { refreshToken }) =>
    requestTokens(server, refreshForm(refreshToken)),
  )
}

/** The body of a token request for a code. */
export function codeForm(code: string): string {
  return String(
    new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: CLIENT_ID,
      redirect_uri: REDIRECT_URI,
      code,
      code_verifier: CODE_VERIFIER,
    }),
  )
}

/** The body of a refresh request. */
export function refreshForm(refreshToken: string): string {
  return String(
    new URLSearchParams({ grant_type: 'refresh_token', client_id: CLIENT_ID, refresh_token: refreshToken }),
  )
}

/** A browser and its app may well speak HTTP/1.1 with a server that offers HTTP/2. */
function serverAt(port: number, secure?: Secure): Pool {
  if (secure === undefined) return new Pool(`http://127.0.0.1:${port}`, { connections: CONCURRENT })
  const connect = tlsOptions({ ...secure, protocol: 'http/1.1' })
  return new Pool(`https://127.0.0.1:${port}`, { connections: CONCURRENT, connect })
}

async function withServer<T, R>(
  server: Pool,
  items: readonly T[],
  act: (server: Pool, item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const left = items.values()
  const work = async () => {
    for (const item of left) results.push(await act(server, item))
  }
  try {
    await Promise.all(Array.from({ length: CONCURRENT }, work))
    return results
  } finally {
    await server.destroy()
  }
}

/** What a browser does at the server at `port`: it follows redirects, keeps cookies, and the provider's page is skipped. */
class Browser {
  readonly #server: Pool
  readonly #origin: string
  readonly #cookies = new Map<string, string>()

  constructor(server: Pool, port: number) {
    this.#server = server
    this.#origin = `http://127.0.0.1:${port}`
  }

  /** From the app up to the provider's answer. @throws Error if the provider was not asked. */
  async toProvider(): Promise<ReturnFromProvider> {
    return this.#returnFrom(await this.#follow(authorizationPath))
  }

  /** From the app to the app, by way of the provider where the server asks one. @returns the code. */
  async toApp(): Promise<string> {
    const left = await this.#follow(authorizationPath)
    const finished = isApp(left) ? left : await this.#follow(this.#returnFrom(left).path)
    const code = finished.searchParams.get('code')
    if (!isApp(finished) || code === null) throw new Error(`the login gave no code: ${finished}`)
    return code
  }

  /** @param asked where the server has sent the browser. */
  #returnFrom({ origin, searchParams }: URL): ReturnFromProvider {
    const state = searchParams.get('state') ?? ''
    const query = new URLSearchParams({ state, code: 'provider-code', iss: origin })
    return { path: `/oauth2/callback?${query}`, cookie: this.#cookie() }
  }

  /** @returns the first address that is not the server's. */
  async #follow(path: string): Promise<URL> {
    let next = path
    for (let hops = 0; hops < HOPS_MAX; hops += 1) {
      const location = await this.#redirect(next)
      if (location.origin !== this.#origin) return location
      next = location.pathname + location.search
    }
    throw new Error(`more than ${HOPS_MAX} redirects from ${path}`)
  }

  async #redirect(path: string): Promise<URL> {
    const cookie = this.#cookie()
    const answer = await this.#server.request({
      method: 'GET',
      path,
      headers: cookie === '' ? {} : { cookie },
    })
    const text = await answer.body.text()
    const { location, 'set-cookie': cookies = [] } = answer.headers
    if (typeof location !== 'string') throw new Error(`no redirect but ${answer.statusCode}: ${text}`)
    for (const line of [cookies].flat()) {
      const [pair = ''] = line.split(';', 1)
      this.#cookies.set(pair.slice(0, pair.indexOf('=')), pair)
    }
    return new URL(location, this.#origin)
  }

  #cookie(): string {
    return [...this.#cookies.values()].join('; ')
  }
}

function isApp({ href }: URL): boolean {
  return href.startsWith(REDIRECT_URI)
}

async function requestTokens(server: Pool, form: string): Promise<Tokens> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const answer = await server.request({
    method: 'POST',
    path: '/oauth2/token',
    headers,
    body: form,
  })
  const body = (await answer.body.json()) as { access_token?: string; refresh_token?: string }
  if (body.access_token === undefined || body.refresh_token === undefined) {
    throw new Error(`no tokens but ${answer.statusCode}: ${JSON.stringify(body)}`)
  }
  return { accessToken: body.access_token, refreshToken: body.refresh_token }
}
