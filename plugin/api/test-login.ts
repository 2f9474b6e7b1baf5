import { createHash } from 'node:crypto'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { randomBytes } from '../secrets/random.ts'
import { servicesOf } from './decorate.ts'
import { refuseProduction } from './test-session.ts'

/** Which app logs in, and for what. Everything has a default. */
export interface TestLoginOptions {
  /** Default: the first registered client. */
  readonly clientId?: string
  /** Default: all that the client may have. */
  readonly scopes?: readonly string[]
  /** Name of the provider, where there are several. */
  readonly provider?: string
  /** In place of the right one: what comes back is the refusal. */
  readonly codeVerifier?: string
}

/** What an app holds after a login. */
export interface TestLogin {
  /** The `Authorization` value of the app's requests: `Bearer …`. */
  readonly authorization: string
  readonly accessToken: string
  /** Absent where the login cannot be renewed. */
  readonly refreshToken?: string
  /** As granted. */
  readonly scopes: readonly string[]
}

/** A step of the login that did not go on. */
export class TestLoginError extends Error {
  override readonly name = 'TestLoginError'
  /** `authorize`, `provider`, `callback` or `token`. */
  readonly step: string
  /** The error code of the response, e.g. `access_denied`. */
  readonly error: string

  constructor(step: string, error: string, detail: string) {
    super(`the login ended at ${step}: ${error}${detail}`)
    this.step = step
    this.error = error
  }
}

/**
 * Walks a whole login as an app and its browser do: authorization request, the provider (`testProvider`), callback, page,
 * token exchange. The app's own requests go by `app.inject`; the provider is asked over loopback.
 *
 * @throws TestLoginError where it ends otherwise. @throws Error in production, and for an app without the plugin.
 */
export async function testLogin(app: FastifyInstance, options: TestLoginOptions = {}): Promise<TestLogin> {
  refuseProduction()
  const services = servicesOf(app)
  if (!services)
    throw new Error('fastify-pkce/testing: the app has no fastify-pkce yet: await app.ready() first')
  const { clients, routePrefix } = services.options
  const client = clients.get(options.clientId ?? [...clients.keys()][0]!)
  if (!client)
    throw new RangeError(`fastify-pkce/testing: clientId: ${options.clientId} is no registered client`)
  const verifier = randomBytes(32).toString('base64url')
  const redirectUri = client.redirectUris[0]!
  const request = new URLSearchParams({
    ...{ response_type: 'code', client_id: client.clientId, redirect_uri: redirectUri, state: 'test-state' },
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(options.scopes && { scope: options.scopes.join(' ') }),
    ...(options.provider !== undefined && { identity_provider: options.provider }),
  })

  const begun = await app.inject({ url: `${routePrefix}/authorize?${request}` })
  const there = destinationOf('authorize', begun)
  const error = there.searchParams.get('error')
  if (error !== null) throw new TestLoginError('authorize', error, said(there))
  const back = await fetch(there, { redirect: 'manual' })
  const callback = new URL(back.headers.get('location') ?? `about:${back.status}`)
  if (back.status !== 302) throw new TestLoginError('provider', String(back.status), '')
  const cookie = [begun.headers['set-cookie'] ?? []]
    .flat()
    .map((line) => line.split(';', 1)[0])
    .join('; ')
  const returned = await app.inject({ url: callback.pathname + callback.search, headers: { cookie } })
  const home = destinationOf('callback', returned)
  const code = home.searchParams.get('code')
  if (code === null)
    throw new TestLoginError('callback', home.searchParams.get('error') ?? 'no code', said(home))

  const basic = Buffer.from(`${client.clientId}:${client.clientSecret}`).toString('base64')
  const answer = await app.inject({
    ...{ method: 'POST', url: `${routePrefix}/token` },
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      ...(client.authentication === 'client_secret_basic' && { authorization: `Basic ${basic}` }),
    },
    payload: new URLSearchParams({
      ...{ grant_type: 'authorization_code', code, redirect_uri: redirectUri },
      code_verifier: options.codeVerifier ?? verifier,
      ...(client.authentication !== 'client_secret_basic' && { client_id: client.clientId }),
      ...(client.authentication === 'client_secret_post' && { client_secret: client.clientSecret ?? '' }),
    }).toString(),
  })
  const body = answer.json() as Record<string, string>
  if (answer.statusCode !== 200) {
    throw new TestLoginError('token', body.error ?? String(answer.statusCode), `: ${body.error_description}`)
  }
  return {
    authorization: `${body.token_type} ${body.access_token}`,
    accessToken: body.access_token!,
    ...(body.refresh_token !== undefined && { refreshToken: body.refresh_token }),
    scopes: (body.scope ?? '').split(' ').filter(Boolean),
  }
}

/** Where the browser goes: by a redirect, or by the link of the page that a private-use or loopback URI gets. */
function destinationOf(step: string, { statusCode, headers, body }: LightMyRequestResponse): URL {
  if (statusCode === 302 || statusCode === 303) return new URL(String(headers.location))
  const [, main = ''] = /<main>(.*)<\/main>/s.exec(body) ?? []
  const [, href = ''] = /<a href="([^"]*)"/.exec(main) ?? []
  const link = href.replaceAll('&amp;', '&')
  if (statusCode === 200 && URL.canParse(link)) return new URL(link)
  const words = /<p>(.*?)<\/p>/s.exec(main)?.[1]?.replaceAll(/<[^>]*>/g, '') ?? ''
  throw new TestLoginError(step, String(statusCode), words === '' ? '' : `: ${words}`)
}

function said(url: URL): string {
  const words = url.searchParams.get('error_description')
  return words === null ? '' : `: ${words}`
}
