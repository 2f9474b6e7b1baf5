import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { codeChallengeS256 } from '../oauth/pkce.ts'
import { randomBytes } from '../secrets/random.ts'
import { refuseProduction } from './test-session.ts'

/** What a request of the provider can be answered with in place of what is right. */
export interface TestFailure {
  readonly status: number
  /** As JSON. Default: `{ error: 'server_error' }`. */
  readonly body?: object
}

type Endpoint = 'authorize' | 'token' | 'userinfo' | 'revoke'

/** An OpenID Connect provider on loopback that does as a test says. Everybody signs in at once, without a page. */
export interface TestProvider {
  /** For the plugin's `provider`: issuer, client and scope. */
  readonly options: {
    readonly issuer: string
    readonly clientId: string
    readonly clientSecret: string
    readonly scope: string
  }
  /** Claims of whoever signs in next; `sub` says who it is. Default `{ sub: 'alice', email: 'alice@example.com' }`. */
  user: Readonly<Record<string, unknown>> & { readonly sub: string }
  /** Life of the access tokens from now on, in seconds. Default 3600. */
  tokenSeconds: number
  /** What the plugin has asked for, in order: `token`, `revoke`, …, and the members of its forms. */
  readonly requests: readonly { readonly endpoint: Endpoint; readonly parameters: URLSearchParams }[]
  /** Answers the next request of an endpoint so; at `authorize`, `body.error` is what the browser brings back. */
  failNext(endpoint: Endpoint, failure: TestFailure): void
  close(): Promise<void>
}

/** What a code or a refresh token stands for. */
interface Issued {
  readonly user: TestProvider['user']
  readonly parameters: URLSearchParams
}

/**
 * Starts a provider for whole logins in tests: it proves PKCE, client secret and redirect URI as a real one does, and
 * rotates refresh tokens.
 *
 * @throws Error in production.
 */
export async function testProvider(): Promise<TestProvider> {
  refuseProduction()
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'test', alg: 'ES256', use: 'sig' }
  const codes = new Map<string, Issued>()
  const refreshTokens = new Map<string, Issued>()
  const accessTokens = new Map<string, Issued>()
  const failures = new Map<Endpoint, TestFailure>()
  const requests: { endpoint: Endpoint; parameters: URLSearchParams }[] = []
  const secret = randomBytes(16).toString('hex')

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      json(response, 500, { error: 'server_error', error_description: String(error) })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const options = { issuer, clientId: 'test-client', clientSecret: secret, scope: 'openid offline_access' }

  const provider: TestProvider = {
    options,
    user: { sub: 'alice', email: 'alice@example.com' },
    tokenSeconds: 3600,
    requests,
    failNext(endpoint, failure) {
      failures.set(endpoint, failure)
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return provider

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '', issuer)
    if (pathname === '/.well-known/openid-configuration') return json(response, 200, metadata())
    if (pathname === '/jwks') return json(response, 200, { keys: [jwk] })
    const endpoint = pathname.slice(1) as Endpoint
    if (!['authorize', 'token', 'userinfo', 'revoke'].includes(endpoint)) return json(response, 404, {})
    const parameters = request.method === 'POST' ? new URLSearchParams(await text(request)) : searchParams
    requests.push({ endpoint, parameters })
    const failure = failures.get(endpoint)
    failures.delete(endpoint)
    if (endpoint === 'authorize') return authorize(parameters, response, failure)
    if (failure) return json(response, failure.status, failure.body ?? { error: 'server_error' })
    if (endpoint === 'userinfo') return userinfo(request, response)
    if (!isClient(request)) return json(response, 401, { error: 'invalid_client' })
    if (endpoint === 'revoke') return json(response, 200, {})
    return token(parameters, response)
  }

  function authorize(parameters: URLSearchParams, response: ServerResponse, failure?: TestFailure): void {
    const location = new URL(parameters.get('redirect_uri') ?? issuer)
    location.searchParams.set('state', parameters.get('state') ?? '')
    location.searchParams.set('iss', issuer)
    if (failure) {
      const { error = 'server_error' } = (failure.body ?? {}) as { error?: string }
      location.searchParams.set('error', error)
    } else {
      const code = randomBytes(16).toString('hex')
      codes.set(code, { user: provider.user, parameters })
      location.searchParams.set('code', code)
    }
    response.writeHead(302, { location: location.href }).end()
  }

  async function token(parameters: URLSearchParams, response: ServerResponse): Promise<void> {
    const isRefresh = parameters.get('grant_type') === 'refresh_token'
    const held = isRefresh ? refreshTokens : codes
    const presented = parameters.get(isRefresh ? 'refresh_token' : 'code') ?? ''
    const issued = held.get(presented)
    held.delete(presented)
    if (!issued || (!isRefresh && !isProved(issued.parameters, parameters))) {
      return json(response, 400, { error: 'invalid_grant' })
    }
    const [access_token, refresh_token] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')]
    accessTokens.set(access_token, issued)
    refreshTokens.set(refresh_token, issued)
    json(response, 200, {
      ...{ access_token, refresh_token, token_type: 'Bearer', expires_in: provider.tokenSeconds },
      id_token: await idToken(issued, isRefresh),
    })
  }

  function idToken({ user, parameters }: Issued, isRefresh: boolean): Promise<string> {
    const nonce = isRefresh ? null : parameters.get('nonce')
    return new SignJWT({ ...user, ...(nonce !== null && { nonce }) })
      .setProtectedHeader({ alg: 'ES256', kid: 'test' })
      .setIssuer(issuer)
      .setAudience(options.clientId)
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey)
  }

  function userinfo({ headers }: IncomingMessage, response: ServerResponse): void {
    const issued = accessTokens.get(headers.authorization?.replace('Bearer ', '') ?? '')
    if (issued) json(response, 200, issued.user)
    else json(response, 401, { error: 'invalid_token' })
  }

  function isClient({ headers }: IncomingMessage): boolean {
    const encoded = Buffer.from(`${options.clientId}:${secret}`).toString('base64')
    return headers.authorization === `Basic ${encoded}`
  }

  function metadata(): object {
    return {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      userinfo_endpoint: `${issuer}/userinfo`,
      revocation_endpoint: `${issuer}/revoke`,
      jwks_uri: `${issuer}/jwks`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      code_challenge_methods_supported: ['S256'],
      scopes_supported: ['openid', 'offline_access'],
      token_endpoint_auth_methods_supported: ['client_secret_basic'],
      authorization_response_iss_parameter_supported: true,
    }
  }
}

/** PKCE and the redirect URI (RFC 7636 §4.6, RFC 6749 §4.1.3). */
function isProved(begun: URLSearchParams, presented: URLSearchParams): boolean {
  const verifier = presented.get('code_verifier') ?? ''
  return (
    begun.get('redirect_uri') === presented.get('redirect_uri') &&
    begun.get('code_challenge') === codeChallengeS256(verifier)
  )
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}
