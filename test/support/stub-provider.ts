import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose'

/** A request as the provider received it. */
export interface ReceivedRequest {
  readonly path: string
  readonly method: string
  readonly headers: IncomingMessage['headers']
  readonly form: URLSearchParams
}

/** Answers one request, or leaves it unanswered. */
export type Behaviour = (request: ReceivedRequest, response: ServerResponse) => unknown

/**
 * A provider that does what a test tells it to: the happy path by default, and any misbehaviour by replacing
 * `behave.token` and its siblings. It speaks HTTP on loopback and records every request. The journeys of whole
 * logins use a real provider; this one is for what real ones do only on bad days.
 */
export interface StubProvider {
  readonly issuer: string
  readonly requests: ReceivedRequest[]
  readonly behave: Record<'token' | 'revoke' | 'userinfo' | 'par' | 'jwks', Behaviour>
  /** `nonce` of the last authorization request, if it asked for an id_token: then the default answer has one. */
  nonce: string | null
  /** Laid over the claims of the default answer's id_token. */
  claims: JWTPayload
  /** Changes what metadata says from now on. */
  readonly metadata: Record<string, unknown>
  /** Requests to a path, e.g. `count('/token')`. */
  count(path: string): number
  /** A signed id_token with sound claims, overridden by the given ones. */
  idToken(claims?: JWTPayload): Promise<string>
  /** A signed logout token of `alice`, with other claims and header fields as given; undefined leaves one out. */
  logoutToken(claims?: JWTPayload, header?: Partial<JWTHeaderParameters>): Promise<string>
  /** Signs with a new key from now on. `jwks` names it at once, under a `kid` of its own unless one is given. */
  rotateKey(kid?: string): Promise<void>
  /** The token endpoint moves to `path`, and metadata says so; at its old path there is nothing. */
  moveToken(path: string): void
  /** Refuses connections until the returned function is called. */
  leave(): Promise<() => Promise<void>>
  close(): Promise<void>
}

/** What makes a JWT a logout token (Back-Channel Logout §2.4). */
export const LOGOUT = { 'http://schemas.openid.net/event/backchannel-logout': {} }

export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}

export async function startStubProvider({ clientId = 'gateway' } = {}): Promise<StubProvider> {
  let key = await newKey('stub')
  const requests: ReceivedRequest[] = []
  let issued = 0
  let issuer = ''
  let tokenPath = '/token'

  const idToken = (claims: JWTPayload = {}) =>
    new SignJWT({ sub: 'alice', ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: key.jwk.kid })
      .setIssuer((claims.iss as string) ?? issuer)
      .setAudience((claims.aud as string) ?? clientId)
      .setIssuedAt(claims.iat)
      .setExpirationTime('5m')
      .sign(key.privateKey)

  const logoutToken = (claims: JWTPayload = {}, header: Partial<JWTHeaderParameters> = {}) => {
    const now = Math.floor(Date.now() / 1000)
    const sound = { iss: issuer, aud: clientId, iat: now, exp: now + 120, jti: randomUUID(), events: LOGOUT }
    return new SignJWT({ ...sound, ...(claims.sid === undefined && { sub: 'alice' }), ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: key.jwk.kid, typ: 'logout+jwt', ...header })
      .sign(key.privateKey)
  }

  const behave: StubProvider['behave'] = {
    token: async (_request, response) => {
      const { nonce, claims } = stub
      const id_token = nonce === null ? undefined : await idToken({ nonce, ...claims })
      issued++
      json(response, 200, {
        access_token: `provider-access-${issued}`,
        refresh_token: `provider-refresh-${issued}`,
        token_type: 'Bearer',
        expires_in: 3600,
        id_token,
      })
    },
    revoke: (_request, response) => json(response, 200, {}),
    userinfo: (_request, response) => json(response, 200, { sub: 'alice' }),
    par: (_request, response) => json(response, 201, { request_uri: 'urn:example:par', expires_in: 60 }),
    jwks: (_request, response) => json(response, 200, { keys: [key.jwk] }),
  }
  const metadata: Record<string, unknown> = {}

  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const path = (incoming.url ?? '').split('?', 1)[0]!
      const form = new URLSearchParams(Buffer.concat(chunks).toString())
      const request = { path, method: incoming.method!, headers: incoming.headers, form }
      requests.push(request)
      if (path === '/.well-known/openid-configuration') return json(response, 200, metadata)
      if (path === '/jwks') return behave.jwks(request, response)
      if (path === tokenPath) return behave.token(request, response)
      if (path === '/revoke') return behave.revoke(request, response)
      if (path === '/userinfo') return behave.userinfo(request, response)
      if (path === '/par') return behave.par(request, response)
      return json(response, 404, { error: 'not_found' })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  Object.assign(metadata, {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    revocation_endpoint: `${issuer}/revoke`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    code_challenge_methods_supported: ['S256'],
  })

  const stub: StubProvider = {
    issuer,
    requests,
    behave,
    metadata,
    nonce: null,
    claims: {},
    count: (path) => requests.filter((request) => request.path === path).length,
    idToken,
    logoutToken,
    rotateKey: async (kid = `stub-${Math.random()}`) => {
      key = await newKey(kid)
    },
    moveToken: (path) => {
      tokenPath = path
      metadata.token_endpoint = issuer + path
    },
    leave: async () => {
      const { port } = server.address() as AddressInfo
      await stub.close()
      return () => new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return stub
}

async function newKey(kid: string) {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } }
}
