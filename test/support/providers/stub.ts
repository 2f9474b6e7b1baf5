import { createHash, randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { Test } from 'tap'
import type { Allowed, Answer, Facts, Refusal } from './facts.ts'
import { type HostRequest, startHosts } from './hosts.ts'

/** Our registration there. */
export const CLIENT_ID = 'gateway'
export const CLIENT_SECRET = 'gateway-secret'

/** A provider by its facts, at its own addresses. */
export interface ProviderStub {
  readonly requests: readonly HostRequest[]
  /** The only one that is registered. */
  redirectUri: string
  /** Who sits at the browser. */
  person: string
  /** What the person does when asked. */
  consents: boolean
  /** Requests to one of its endpoints. */
  at(endpoint: keyof Facts['endpoints']): HostRequest[]
  /** True if it still answers to the token. */
  isAlive(token: string): boolean
  /** Whatever has been issued is refused from now on. */
  endAll(): void
  /** Signs with a new key at once. */
  rotateKey(): Promise<void>
  /** Its hosts refuse connections from now on, until the returned function is called. */
  leave(): () => Promise<void>
}

const REFUSALS: Readonly<Record<Refusal, Answer>> = {
  client: { status: 401, body: { error: 'invalid_client' } },
  code: { status: 400, body: { error: 'invalid_grant' } },
  redirect_uri: { status: 400, body: { error: 'invalid_grant' } },
  verifier: { status: 400, body: { error: 'invalid_grant' } },
  refresh_token: { status: 400, body: { error: 'invalid_grant' } },
  grant_type: { status: 400, body: { error: 'unsupported_grant_type' } },
  scope: { status: 400, body: { error: 'invalid_scope' } },
}

interface Code {
  readonly allowed: Allowed
  isUsed: boolean
}

/** Starts a provider with these facts. It is strict: what the real one refuses, it refuses. */
export async function startStub(t: Test, facts: Facts): Promise<ProviderStub> {
  const { endpoints } = facts
  const requests: HostRequest[] = []
  const codes = new Map<string, Code>()
  const pushed = new Map<string, URLSearchParams>()
  const tokens = new Map<string, Allowed>()
  const refreshTokens = new Map<string, { allowed: Allowed; isGood: boolean }>()
  const consents = new Set<string>()
  let key = await firstKey

  const stub: ProviderStub = {
    requests,
    redirectUri: '',
    person: 'alice',
    consents: true,
    at: (endpoint) => requests.filter((request) => isAt(request, endpoints[endpoint])),
    isAlive: (token) => {
      const allowed =
        tokens.get(token) ??
        (refreshTokens.get(token)?.isGood ? refreshTokens.get(token)?.allowed : undefined)
      return allowed !== undefined && !allowed.isEnded
    },
    endAll: () => {
      for (const { allowed } of codes.values()) allowed.isEnded = true
    },
    rotateKey: async () => {
      key = await newKey()
    },
    leave: () => hosts.leave(),
  }
  const names = new Set(Object.values(endpoints).map((address) => new URL(address).host))
  const hosts = await startHosts(t, [...names], async (received, response) => {
    const request = { ...received, path: facts.path?.(received.path) ?? received.path }
    requests.push(request)
    await answer(request, response)
  })
  return stub

  async function answer(request: HostRequest, response: ServerResponse): Promise<unknown> {
    const first = facts.answersFirst?.(request)
    if (first) return send(response, first)
    if (isAt(request, endpoints.authorization)) return authorize(request, response)
    if (isAt(request, endpoints.token)) return sendToken(request, response, await tokenAnswer(request))
    if (isAt(request, endpoints.metadata)) return send(response, { status: 200, body: metadata() })
    if (isAt(request, endpoints.jwks)) return send(response, { status: 200, body: { keys: [key.jwk] } })
    if (isAt(request, endpoints.userinfo)) return send(response, userinfo(request))
    if (isAt(request, endpoints.revocation)) return send(response, await revoke(request))
    if (isAt(request, endpoints.par)) return send(response, await push(request))
    return send(response, page(404, 'not found'))
  }

  function metadata(): object {
    const named = {
      authorization_endpoint: endpoints.authorization,
      token_endpoint: endpoints.token,
      userinfo_endpoint: endpoints.userinfo,
      revocation_endpoint: endpoints.revocation,
      pushed_authorization_request_endpoint: endpoints.par,
      jwks_uri: endpoints.jwks,
    }
    const common = { response_types_supported: ['code'], subject_types_supported: ['public'] }
    return { issuer: facts.issuer, ...named, ...common, ...facts.metadata }
  }

  /** RFC 6749 §4.1.1. What cannot be trusted is a page; everything else goes to the registered redirect URI. */
  function authorize(request: HostRequest, response: ServerResponse): unknown {
    const { query } = request
    const requestUri = query.get('request_uri')
    const asked = requestUri === null ? query : pushed.get(requestUri)
    pushed.delete(requestUri ?? '')
    if (request.method !== 'GET' || !asked) return send(response, page(400, 'malformed request'))
    if (asked.get('client_id') !== CLIENT_ID) return send(response, page(400, 'unknown client_id'))
    if (asked.get('redirect_uri') !== stub.redirectUri) {
      const { unregistered: error } = facts
      if (error === undefined) return send(response, page(400, 'redirect_uri is not registered'))
      return sendBack(response, asked, { error })
    }
    const problem = facts.refuses?.(asked) ?? malformed(asked)
    if (problem) return send(response, page(400, problem))
    const scopes = (asked.get('scope') ?? '').split(/[ ,]/).filter(Boolean)
    const isUnknown = scopes.some((scope) => !facts.scopes.includes(scope))
    if (isUnknown && facts.unknownScope === 'page') return send(response, page(400, 'invalid_scope'))
    if (isUnknown && facts.unknownScope) return sendBack(response, asked, { error: facts.unknownScope })
    if (!stub.consents) return sendBack(response, asked, facts.cancel ?? {})
    return allow(response, asked, scopes)
  }

  function allow(response: ServerResponse, query: URLSearchParams, scopes: readonly string[]): unknown {
    const { person } = stub
    const allowed = { query, scopes, person, isFirst: !consents.has(person), isEnded: false }
    consents.add(person)
    const code = `code-${randomBytes(Math.max(16, (facts.codeLength ?? 0) / 2)).toString('hex')}`
    codes.set(code, { allowed, isUsed: false })
    return sendBack(response, query, { code, ...facts.callback?.(allowed) })
  }

  /** OAuth 2.0 Form Post Response Mode §2, or a redirect. */
  function sendBack(
    response: ServerResponse,
    query: URLSearchParams,
    parameters: Readonly<Record<string, string>>,
  ): unknown {
    const state = query.get('state')
    const iss = facts.sendsIss ? facts.issuer : undefined
    const all = { ...parameters, ...(state !== null && { state }), ...(iss !== undefined && { iss }) }
    if (query.get('response_mode') === 'form_post') {
      const fields = Object.entries(all).map(
        ([name, value]) => `<input type="hidden" name="${name}" value="${value.replaceAll('"', '&quot;')}">`,
      )
      const form = `<form method="post" action="${stub.redirectUri}">${fields.join('')}</form>`
      return send(response, { status: 200, body: form })
    }
    const separator = stub.redirectUri.includes('?') ? '&' : '?'
    const location = `${stub.redirectUri}${separator}${new URLSearchParams(all)}${facts.fragment ?? ''}`
    return response.writeHead(302, { location }).end()
  }

  async function tokenAnswer(request: HostRequest): Promise<Answer> {
    const { form } = request
    if (request.method !== 'POST') return page(405, 'POST only')
    if (!(await isClient(request))) return refusal('client')
    if (facts.verifier === 'refused' && form.has('code_verifier')) return refusal('verifier')
    if (form.get('grant_type') === 'authorization_code') return redeem(form)
    if (form.get('grant_type') === 'refresh_token' && facts.refresh !== undefined) return refresh(form)
    return refusal('grant_type')
  }

  async function redeem(form: URLSearchParams): Promise<Answer> {
    const code = codes.get(form.get('code') ?? '')
    if (!code || code.isUsed) return refusal('code')
    code.isUsed = true
    const { allowed } = code
    const isSameUri = form.get('redirect_uri') === allowed.query.get('redirect_uri')
    if (!isSameUri || form.get('redirect_uri') !== stub.redirectUri) return refusal('redirect_uri')
    if (!provesChallenge(allowed.query.get('code_challenge'), form.get('code_verifier'))) {
      return refusal('verifier')
    }
    const gives = facts.refresh !== undefined && (facts.givesRefreshToken?.(allowed) ?? true)
    return { status: 200, body: await issue(allowed, gives ? newRefreshToken(allowed) : undefined) }
  }

  async function refresh(form: URLSearchParams): Promise<Answer> {
    const presented = form.get('refresh_token') ?? ''
    const one = refreshTokens.get(presented)
    if (!one || one.allowed.isEnded) return refusal('refresh_token')
    if (!one.isGood) {
      if (facts.refresh === 'ends its family') one.allowed.isEnded = true
      return refusal('refresh_token')
    }
    if (facts.refresh === 'rotated' || facts.refresh === 'ends its family') one.isGood = false
    const next =
      facts.refresh === 'kept'
        ? undefined
        : facts.refresh === 'sent again'
          ? presented
          : newRefreshToken(one.allowed)
    return { status: 200, body: await issue(one.allowed, next) }
  }

  function newRefreshToken(allowed: Allowed): string {
    const token = `refresh-${randomBytes(16).toString('hex')}`
    refreshTokens.set(token, { allowed, isGood: true })
    return token
  }

  async function issue(allowed: Allowed, refreshToken: string | undefined): Promise<object> {
    const access_token = `${facts.accessToken ?? 'access-'}${randomBytes(16).toString('hex')}`
    tokens.set(access_token, allowed)
    const hasIdToken =
      facts.issuer !== undefined && (facts.alwaysIdToken || allowed.scopes.includes('openid'))
    return {
      access_token,
      token_type: 'Bearer',
      scope: facts.scopeText ? facts.scopeText(allowed.scopes) : allowed.scopes.join(' '),
      refresh_token: refreshToken,
      ...(hasIdToken && { id_token: await idToken(allowed, access_token) }),
      ...facts.token,
    }
  }

  function idToken(allowed: Allowed, accessToken: string): Promise<string> {
    const hash = createHash('sha256').update(accessToken).digest()
    const nonce = allowed.query.get('nonce') ?? undefined
    const claims = { sub: allowed.person, nonce, at_hash: hash.subarray(0, 16).toString('base64url') }
    const all = { iss: facts.issuer!, ...claims, ...facts.idToken?.(allowed) }
    return new SignJWT(all)
      .setProtectedHeader({ alg: 'RS256', kid: key.jwk.kid })
      .setAudience(CLIENT_ID)
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(key.privateKey)
  }

  function userinfo(request: HostRequest): Answer {
    const allowed = tokens.get(/^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '')
    if (!allowed || allowed.isEnded)
      return facts.refusedUserinfo ?? { status: 401, body: { error: 'invalid_token' } }
    return facts.userinfo?.(allowed, request) ?? { status: 200, body: { sub: allowed.person } }
  }

  /** RFC 7009. Either token takes all of them along. */
  async function revoke(request: HostRequest): Promise<Answer> {
    if (!facts.revokesWithoutClient && !(await isClient(request))) return refusal('client')
    const token = request.form.get('token') ?? ''
    const allowed = tokens.get(token) ?? refreshTokens.get(token)?.allowed
    if (allowed) allowed.isEnded = true
    return { status: 200, body: {} }
  }

  /** RFC 9126 §2. */
  async function push(request: HostRequest): Promise<Answer> {
    if (!(await isClient(request))) return refusal('client')
    const uri = `urn:ietf:params:oauth:request_uri:${randomBytes(16).toString('hex')}`
    pushed.set(uri, request.form)
    return { status: 201, body: { request_uri: uri, expires_in: 60 } }
  }

  /** By exactly one method, of those that it takes. */
  async function isClient({ headers, form }: HostRequest): Promise<boolean> {
    const basic = /^Basic (.+)$/.exec(headers.authorization ?? '')?.[1]
    if (basic !== undefined && form.has('client_secret')) return false
    const method = basic === undefined ? 'post' : 'basic'
    if (!facts.clientAuthentication.includes(method)) return false
    const pair = basic === undefined ? undefined : Buffer.from(basic, 'base64').toString().split(':')
    const [id, secret] = pair?.map(decodeURIComponent) ?? [form.get('client_id'), form.get('client_secret')]
    if (id !== CLIENT_ID || typeof secret !== 'string') return false
    return facts.isSecret ? facts.isSecret(secret, id) : secret === CLIENT_SECRET
  }

  function refusal(what: Refusal): Answer {
    return facts.refusals?.[what] ?? REFUSALS[what]
  }

  function sendToken(request: HostRequest, response: ServerResponse, { status, body }: Answer): unknown {
    if (typeof body === 'string' || !facts.isForm?.(request)) return send(response, { status, body })
    const members = Object.entries(body as object).filter(([, value]) => value !== undefined)
    response.writeHead(status, { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' })
    return response.end(new URLSearchParams(members).toString())
  }
}

function malformed(query: URLSearchParams): string | undefined {
  for (const name of new Set(query.keys())) if (query.getAll(name).length > 1) return `${name} is there twice`
  if (query.get('response_type') !== 'code') return 'response_type is not code'
  const challenge = query.get('code_challenge')
  if (challenge === null) return undefined
  const isS256 = query.get('code_challenge_method') === 'S256' && /^[\w-]{43}$/.test(challenge)
  return isS256 ? undefined : 'code_challenge is malformed'
}

/** RFC 7636 §4.6; a verifier without a challenge proves nothing. */
function provesChallenge(challenge: string | null, verifier: string | null): boolean {
  if (challenge === null || verifier === null) return challenge === verifier
  return createHash('sha256').update(verifier).digest('base64url') === challenge
}

function isAt({ host, path }: HostRequest, address: string | undefined): boolean {
  return address !== undefined && address === `https://${host}${path}`
}

function page(status: number, body: string): Answer {
  return { status, body }
}

function send(response: ServerResponse, { status, body }: Answer): unknown {
  const type = typeof body === 'string' ? 'text/html; charset=utf-8' : 'application/json'
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
  return response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

/** The same everywhere: making one takes longer than a login. */
const firstKey = newKey()

async function newKey() {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const kid = randomBytes(8).toString('hex')
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' } }
}
