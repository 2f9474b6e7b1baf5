import { randomBytes } from 'node:crypto'
import type { CookieJar } from '../../examples/demo/login.ts'
import type { GatewayStack } from './gateway-stack.ts'
import { newPair } from './plugin-app.ts'

/** An answer, read to its end. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body as JSON. */
  readonly json: Record<string, unknown>
}

/** One request on a real socket; redirects are not followed. */
export async function send(url: URL | string, request: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, { redirect: 'manual', ...request })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    text,
    get json() {
      return JSON.parse(text) as Record<string, unknown>
    },
  }
}

/** A login that has begun: what the app keeps, and where it sends the browser. */
export interface Attempt {
  readonly url: URL
  readonly verifier: string
  readonly challenge: string
  readonly state: string
}

export interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
  readonly token_type: string
  readonly expires_in: number
  readonly scope: string
}

type Parameters = Record<string, string | undefined>

/** An app that speaks to the gateway over real sockets, and misbehaves where a test overrides a parameter. */
export class NativeApp {
  readonly clientId: string
  readonly redirectUri: string
  readonly #stack: Pick<GatewayStack, 'publicUrl' | 'signIn'>
  readonly #secret: { method: 'basic' | 'post'; value: string } | undefined

  constructor(
    stack: Pick<GatewayStack, 'publicUrl' | 'signIn'>,
    {
      clientId = 'com.example.app',
      redirectUri = 'com.example.app:/callback',
      secret,
    }: { clientId?: string; redirectUri?: string; secret?: { method: 'basic' | 'post'; value: string } } = {},
  ) {
    this.#stack = stack
    this.clientId = clientId
    this.redirectUri = redirectUri
    this.#secret = secret
  }

  /** A fresh verifier and state, and the authorization URL. */
  begin(parameters: Parameters = {}): Attempt {
    const { verifier, challenge } = newPair()
    const state = randomBytes(24).toString('base64url')
    const query = present({
      response_type: 'code',
      client_id: this.clientId,
      redirect_uri: this.redirectUri,
      scope: 'orders.read',
      state,
      code_challenge: challenge,
      code_challenge_method: 'S256',
      ...parameters,
    })
    return { url: new URL(`${this.#stack.publicUrl}/oauth2/authorize?${query}`), verifier, challenge, state }
  }

  /** From the start to our code at the app. */
  async code(
    parameters?: Parameters,
    username?: string,
    cookieJar?: CookieJar,
  ): Promise<Attempt & { code: string; redirect: URL }> {
    const attempt = this.begin(parameters)
    const redirect = await this.#stack.signIn(attempt.url, username, cookieJar)
    const code = redirect.searchParams.get('code')
    if (code === null) throw new Error(`no code: ${redirect.searchParams.get('error')}`)
    return { ...attempt, code, redirect }
  }

  /** The token request for a code. */
  redeem(
    { code, verifier }: { code: string; verifier: string },
    parameters: Parameters = {},
  ): Promise<Answer> {
    return this.post('token', {
      grant_type: 'authorization_code',
      code,
      redirect_uri: this.redirectUri,
      code_verifier: verifier,
      ...parameters,
    })
  }

  /** A whole login. */
  async login(parameters?: Parameters, username?: string): Promise<Tokens> {
    const answer = await this.redeem(await this.code(parameters, username))
    if (answer.status !== 200) throw new Error(`no tokens: ${answer.status} ${answer.text}`)
    return answer.json as unknown as Tokens
  }

  /** @param request e.g. with the signal of an app that loses its network. */
  refresh(refreshToken: string, parameters: Parameters = {}, request: RequestInit = {}): Promise<Answer> {
    const form = { grant_type: 'refresh_token', refresh_token: refreshToken, ...parameters }
    return this.post('token', form, request)
  }

  revoke(token: string): Promise<Answer> {
    return this.post('revoke', { token })
  }

  /** A request to the API with a bearer token, or without one. */
  call(accessToken?: string, path = '/api/orders', request: RequestInit = {}): Promise<Answer> {
    const headers = new Headers(request.headers)
    if (accessToken !== undefined) headers.set('authorization', `Bearer ${accessToken}`)
    return send(this.#stack.publicUrl + path, { ...request, headers })
  }

  /** A form to an endpoint below `/oauth2`, with this client's authentication. Undefined values are left out. */
  post(endpoint: string, form: Parameters, request: RequestInit = {}): Promise<Answer> {
    const { clientId } = this
    const secret = this.#secret
    const headers: Record<string, string> = { 'content-type': 'application/x-www-form-urlencoded' }
    if (secret?.method === 'basic') {
      const pair = [clientId, secret.value].map(encodeURIComponent).join(':')
      headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`
    }
    const body = present({
      ...(secret?.method !== 'basic' && { client_id: clientId }),
      ...(secret?.method === 'post' && { client_secret: secret.value }),
      ...form,
    })
    return send(`${this.#stack.publicUrl}/oauth2/${endpoint}`, { ...request, method: 'POST', headers, body })
  }
}

function present(values: Parameters): string {
  return new URLSearchParams(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
  ).toString()
}
