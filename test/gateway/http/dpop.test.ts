/** DPoP through the whole gateway: requirements O-01 to O-03. */
import { EventEmitter, once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import type { GatewayInput } from '../../../gateway/config/schemas/gateway.ts'
import { ProofKeyPair, type ProofParts } from '../../support/dpop.ts'
import { BROKEN, type Proving, WITHOUT_NONCE } from '../../support/dpop-checks.ts'
import type { OneProvider } from '../../support/gateway-config.ts'
import { type GatewayStack, startGatewayStack } from '../../support/gateway-stack.ts'
import { signInAtStub } from '../../support/instances.ts'
import { NativeApp, send, type Tokens } from '../../support/native-app.ts'
import { reloadableGateway } from '../../support/reloadable-gateway.ts'

const ALGS = 'algs="ES256 Ed25519 EdDSA PS256 RS256"'
const ORIGIN = 'https://spa.example'

/** An app with a key, whose proofs have the nonce that it was told last. */
class ProvingApp {
  readonly key = new ProofKeyPair()
  readonly #app: NativeApp
  readonly #publicUrl: string
  nonce: string | undefined

  constructor(stack: Pick<GatewayStack, 'publicUrl' | 'signIn'>) {
    this.#app = new NativeApp(stack)
    this.#publicUrl = stack.publicUrl
  }

  async login(): Promise<Tokens> {
    const { code, verifier } = await this.#app.code()
    const form = {
      ...{ grant_type: 'authorization_code', client_id: this.#app.clientId, code },
      ...{ redirect_uri: this.#app.redirectUri, code_verifier: verifier },
    }
    await this.#token(form)
    const answer = await this.#token(form)
    if (answer.status !== 200) throw new Error(answer.text)
    return answer.json as unknown as Tokens
  }

  async #token(form: Record<string, string>) {
    const dpop = this.prove('POST', '/oauth2/token')
    const answer = await send(`${this.#publicUrl}/oauth2/token`, {
      method: 'POST',
      headers: { dpop },
      body: new URLSearchParams(form),
    })
    this.nonce = answer.headers.get('dpop-nonce') ?? this.nonce
    return answer
  }

  prove(method: string, path: string, parts: ProofParts = {}): string {
    return this.key.prove(method, this.#publicUrl + path, { nonce: this.nonce, ...parts })
  }

  headers(accessToken: string, path = '/api/orders', method = 'GET'): Record<string, string> {
    return { authorization: `DPoP ${accessToken}`, dpop: this.prove(method, path, { accessToken }) }
  }

  call(accessToken: string, path = '/api/orders', more: Record<string, string> = {}) {
    return send(this.#publicUrl + path, { headers: { ...this.headers(accessToken, path), ...more } })
  }
}

function start(t: Test, more: (config: OneProvider) => GatewayInput = (config) => config) {
  return startGatewayStack(t, (config) =>
    more({
      ...config,
      clients: [{ ...config.clients[0]!, dpop: 'allowed', allowedOrigins: [ORIGIN] }],
    }),
  )
}

/** As many `DPoP` headers as there are values, which `fetch` would join. */
async function rawCall(url: string, accessToken: string, dpop: string | readonly string[] | undefined) {
  const headers = ['Host', new URL(url).host, 'Authorization', `DPoP ${accessToken}`]
  for (const value of dpop === undefined ? [] : [dpop].flat()) headers.push('DPoP', value)
  const sent = httpRequest(url, { headers, setHost: false, agent: false } as object)
  sent.end()
  const [response] = await once(sent, 'response')
  response.resume()
  return response as { statusCode: number; headers: Record<string, string | undefined> }
}

t.test('a bound token is forwarded with a proof, which the upstream never sees (O-02)', async (t) => {
  const stack = await start(t)
  const app = new ProvingApp(stack)
  const { access_token, token_type } = await app.login()
  t.equal(token_type, 'DPoP')
  const seen: string[][] = []
  stack.api.onRequest(({ rawHeaders }) => seen.push(rawHeaders))
  const answer = await app.call(access_token, '/api/orders', { origin: ORIGIN })
  t.equal(answer.status, 200, answer.text)
  t.equal(answer.headers.get('dpop-nonce'), app.nonce)
  t.equal(answer.headers.get('access-control-allow-origin'), ORIGIN)
  t.match(answer.headers.get('access-control-expose-headers'), /\bDPoP-Nonce\b/)
  t.equal(seen.length, 1)
  t.notMatch(seen.flat().join('\n').toLowerCase(), 'dpop')
  t.equal((await app.call(access_token, '/api/orders?page=2')).status, 200, 'with a query, in htu or not')
  const preflight = await send(`${stack.publicUrl}/api/orders`, {
    method: 'OPTIONS',
    headers: {
      origin: ORIGIN,
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'dpop',
    },
  })
  t.equal(preflight.headers.get('access-control-allow-headers'), 'dpop')
  t.notMatch(stack.log(), access_token)
})

t.test('each check of RFC 9449 §4.3 broken one by one: 401, UP=0 (O-02, O-03)', async (t) => {
  const stack = await start(t)
  const app = new ProvingApp(stack)
  const { access_token } = await app.login()
  const url = `${stack.publicUrl}/api/orders`
  const proving: Proving = { key: app.key, method: 'GET', url, accessToken: access_token, nonce: app.nonce! }
  const { requests } = stack.api
  const all = { ...BROKEN, ...WITHOUT_NONCE }
  for (const [name, broken] of Object.entries(all)) {
    const { statusCode, headers } = await rawCall(url, access_token, broken(proving))
    t.equal(statusCode, 401, name)
    const error = name in BROKEN ? 'invalid_dpop_proof' : 'use_dpop_nonce'
    const challenge = String(headers['www-authenticate'])
    t.ok(challenge.startsWith(`DPoP realm="${stack.publicUrl}", error="${error}", `), name)
    t.ok(
      challenge.endsWith(
        `${ALGS}, scope="orders.read", resource_metadata="${stack.publicUrl}/.well-known/oauth-protected-resource/api"`,
      ),
      name,
    )
    t.equal(headers['dpop-nonce'], app.nonce, name)
  }
  t.equal(stack.api.requests, requests)
  t.equal((await app.call(access_token)).status, 200, 'nothing was used up')
})

t.test('a stolen access token is useless, and a replay too (O-02, O-03)', async (t) => {
  const stack = await start(t)
  const [app, thief] = [new ProvingApp(stack), new ProvingApp(stack)]
  const { access_token } = await app.login()
  await thief.login()
  const headers = app.headers(access_token)
  t.equal((await send(`${stack.publicUrl}/api/orders`, { headers })).status, 200)
  const { requests } = stack.api
  for (const stolen of [
    { authorization: `Bearer ${access_token}` },
    { authorization: `DPoP ${access_token}` },
    thief.headers(access_token),
    headers,
    { ...app.headers(access_token), authorization: `Bearer ${access_token}` },
  ]) {
    t.equal((await send(`${stack.publicUrl}/api/orders`, { headers: stolen })).status, 401)
  }
  t.equal(stack.api.requests, requests)
})

t.test('one proof in many requests at once: the upstream gets one (O-03)', async (t) => {
  const stack = await start(t)
  const app = new ProvingApp(stack)
  const { access_token } = await app.login()
  const headers = app.headers(access_token)
  const { requests } = stack.api
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => send(`${stack.publicUrl}/api/orders`, { headers })),
  )
  t.same(answers.map(({ status }) => status).sort(), [200, ...Array(7).fill(401)])
  t.equal(stack.api.requests, requests + 1)
})

t.test(
  'a challenge has the metadata behind each scheme, and the metadata tells of DPoP (RFC 9728 §2, O-02)',
  async (t) => {
    const stack = await start(t)
    const answer = await send(`${stack.publicUrl}/api/orders`)
    const more = `scope="orders.read", resource_metadata="${stack.publicUrl}/.well-known/oauth-protected-resource/api"`
    t.equal(
      answer.headers.get('www-authenticate'),
      `Bearer realm="${stack.publicUrl}", ${more}, DPoP realm="${stack.publicUrl}", ${ALGS}, ${more}`,
    )
    const told = await send(`${stack.publicUrl}/.well-known/oauth-protected-resource/api`)
    t.same(told.json.dpop_signing_alg_values_supported, ['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256'])
    t.equal(told.json.dpop_bound_access_tokens_required, undefined)

    const strict = await start(t, (config) => ({
      ...config,
      clients: [{ ...config.clients[0]!, dpop: 'required' }],
    }))
    const required = await send(`${strict.publicUrl}/.well-known/oauth-protected-resource`)
    t.equal(required.json.dpop_bound_access_tokens_required, true)
    const off = await startGatewayStack(t)
    const plain = await send(`${off.publicUrl}/.well-known/oauth-protected-resource`)
    t.notMatch(plain.text, 'dpop')
    t.notMatch((await send(`${off.publicUrl}/api/orders`)).headers.get('www-authenticate'), 'DPoP')
  },
)

/** An upstream that accepts WebSockets, and sends event streams without an end. */
async function startStreams(t: Test) {
  const seen = new EventEmitter()
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'dpop-nonce': 'of-the-upstream' })
    response.write('data: 1\n\n')
  })
  server.on('upgrade', ({ headers }, socket) => {
    seen.emit('upgrade', headers)
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n`,
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { target: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

t.test('a WebSocket handshake needs the proof, and so does an event stream (O-02)', async (t) => {
  const { target, seen } = await startStreams(t)
  const stack = await start(t, (config) => ({
    ...config,
    upstreams: [{ prefix: '/live', target, websocket: true }],
  }))
  const app = new ProvingApp(stack)
  const { access_token } = await app.login()
  const upgrades: object[] = []
  seen.on('upgrade', (headers) => upgrades.push(headers))
  const handshake = async (own: Record<string, string>) => {
    const sent = httpRequest(`${stack.publicUrl}/live/socket`, {
      headers: {
        ...{ connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
        ...{ 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', ...own },
      },
    })
    sent.end()
    const [response, socket] = await Promise.race([once(sent, 'upgrade'), once(sent, 'response')])
    socket?.destroy()
    response.resume?.()
    return response.statusCode as number
  }
  t.equal(await handshake({ authorization: `Bearer ${access_token}` }), 401)
  t.equal(await handshake({ authorization: `DPoP ${access_token}` }), 401)
  const headers = app.headers(access_token, '/live/socket')
  t.equal(upgrades.length, 0)
  t.equal(await handshake(headers), 101)
  t.equal(await handshake(headers), 401, 'again')
  t.equal(upgrades.length, 1)
  t.notMatch(JSON.stringify(upgrades).toLowerCase(), 'dpop')

  const stop = new AbortController()
  const stream = (own: Record<string, string>) =>
    fetch(`${stack.publicUrl}/live/events`, { headers: own, signal: stop.signal })
  t.equal((await stream({ authorization: `DPoP ${access_token}` })).status, 401)
  const events = await stream(app.headers(access_token, '/live/events'))
  t.equal(events.status, 200)
  t.equal(events.headers.get('dpop-nonce'), app.nonce, "never the upstream's")
  const { value } = await events.body!.getReader().read()
  t.equal(Buffer.from(value!).toString(), 'data: 1\n\n')
  stop.abort()
})

t.test('forward-auth judges the proof for the original method and URL (Q-10, O-02)', async (t) => {
  const stack = await start(t, (config) => ({ ...config, trustProxy: ['127.0.0.1'], forwardAuth: true }))
  const app = new ProvingApp(stack)
  const { access_token } = await app.login()
  const ask = (own: Record<string, string>, method = 'POST', uri = '/api/orders?page=2') =>
    send(`${stack.publicUrl}/oauth2/verify`, {
      headers: { 'x-original-method': method, 'x-original-uri': uri, ...own },
    })
  const good = await ask(app.headers(access_token, '/api/orders', 'POST'))
  t.equal(good.status, 204, good.text)
  t.equal(good.headers.get('dpop-nonce'), app.nonce)
  for (const [what, own] of [
    ['the method of the question', app.headers(access_token, '/api/orders', 'GET')],
    ['its path', app.headers(access_token, '/oauth2/verify', 'POST')],
    ['no proof', { authorization: `DPoP ${access_token}` }],
    ['as a bearer token', { authorization: `Bearer ${access_token}` }],
  ] as const) {
    const refused = await ask(own)
    t.equal(refused.status, 401, what)
    t.match(refused.headers.get('www-authenticate'), /^DPoP realm=.*resource_metadata=/)
    t.equal(refused.headers.get('dpop-nonce'), app.nonce)
  }
})

t.test('a used proof is used after a reload, and nonces go on (Q-03, O-03)', async (t) => {
  const { stub, publicUrl, reload, api } = await reloadableGateway(t, (config) => ({
    ...config,
    clients: [{ ...config.clients[0]!, dpop: 'allowed' }],
  }))
  const app = new ProvingApp({ publicUrl, signIn: signInAtStub(stub, publicUrl, { seconds: 3600 }) })
  const { access_token } = await app.login()
  const headers = app.headers(access_token)
  t.equal((await send(`${publicUrl}/api/orders`, { headers })).status, 200)
  await reload()
  const { requests } = api
  t.equal((await send(`${publicUrl}/api/orders`, { headers })).status, 401)
  t.equal(api.requests, requests)
  t.equal((await app.call(access_token)).status, 200, 'with the nonce from before')
})
