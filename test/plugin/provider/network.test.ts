import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair } from 'jose'
import Oidc from 'oidc-provider'
import t, { type Test } from 'tap'
import type { Dispatcher } from 'undici'
import type { ResolvedProvider } from '../../../plugin/options/resolved.ts'
import { createProvider, type ProviderClientOptions } from '../../../plugin/provider/client.ts'
import { createDispatcher, isPublicAddress } from '../../../plugin/provider/transport/network.ts'
import {
  everythingIn,
  exchange,
  providerOptions,
  recordingLog,
  refused,
  TOKENS,
} from '../../support/provider-setup.ts'

// A key and certificate that nobody trusts, made for this test.
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQglAp2m8jnAF+RGqDO
Ew579Lyp4WiBQTgCIXMrk2jfoz+hRANCAATcv8ZTtLA43ur+My1OpGKPCzefegOW
p1qKEXugaVGV84g6hrk1tQWqJcGYEdF0r3oz0IoiR/bI8ZrErVcJT5hP
-----END PRIVATE KEY-----`
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBhjCCASygAwIBAgIUP+9+jlWRqA4TCk5/94wi0e8ZHV4wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjIxNDMyNTZaGA8yMTI2MTAyOTE0MzI1
NlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNy/
xlO0sDje6v4zLU6kYo8LN596A5anWooRe6BpUZXziDqGuTW1BaolwZgR0XSvejPQ
iiJH9sjxmsStVwlPmE+jZDBiMB0GA1UdDgQWBBRi6FDB7hgQq2N5pSWiejBgQv+q
FjAfBgNVHSMEGDAWgBRi6FDB7hgQq2N5pSWiejBgQv+qFjAPBgNVHRMBAf8EBTAD
AQH/MA8GA1UdEQQIMAaHBH8AAAEwCgYIKoZIzj0EAwIDSAAwRQIhAMSX+oLzo/Pw
QcQ6qwncDyDCADQZl5mxnIUUVNNaB/vxAiBm+L87U9BYtzjntjf0cK4OnCKUglKf
QGobe6FUHXJQVg==
-----END CERTIFICATE-----`

/** Deadlines for those tests that wait for one. */
/** No deadline ends a call unless the test sets it; the differences leave room for a busy machine. */
const PATIENT = { connectMs: 10_000, headersMs: 10_000, bodyMs: 10_000, totalMs: 10_000 }

interface Listening {
  origin: string
  port: number
  /** Requests so far. */
  requests: IncomingMessage[]
}

async function listen(t: Test, server: http.Server | https.Server): Promise<Listening> {
  const requests: IncomingMessage[] = []
  server.prependListener('request', (request) => requests.push(request))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { origin: `http${server instanceof https.Server ? 's' : ''}://127.0.0.1:${port}`, port, requests }
}

const serve = (t: Test, listener: RequestListener) => listen(t, http.createServer(listener))

function sendTokens(response: ServerResponse) {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(TOKENS))
}

/** A provider client on connections of its own, with explicit endpoints at `origin`. */
async function connected(
  t: Test,
  origin: string,
  overrides: Partial<ResolvedProvider> = {},
  options: Partial<ProviderClientOptions> = {},
) {
  const { lines, log } = recordingLog()
  const provider = createProvider({
    provider: {
      ...providerOptions,
      issuer: origin,
      scope: '',
      authorizationEndpoint: `${origin}/authorize`,
      tokenEndpoint: `${origin}/token`,
      ...overrides,
    },
    callbackUrl: 'http://127.0.0.1:3000/oauth2/callback',
    log,
    sleep: async () => {},
    environment: {},
    ...options,
  })
  t.teardown(() => provider.close())
  await provider.start()
  return { provider, lines }
}

t.test('deadlines and limits', async (t) => {
  t.test('a provider that never answers costs the head deadline and one request (C-17, F-08)', async (t) => {
    const server = await serve(t, () => {})
    const { provider } = await connected(t, server.origin, { timeouts: { ...PATIENT, headersMs: 500 } })
    const began = performance.now()
    await refused(t, provider.exchangeCode(exchange), { reason: 'provider_unavailable', unsent: false })
    t.ok(performance.now() - began < 5000)
    t.equal(server.requests.length, 1)
  })

  t.test('one that drips is cut at the total deadline (F-08)', async (t) => {
    const server = await serve(t, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const drip = setInterval(() => response.write(' '), 50)
      response.on('close', () => clearInterval(drip))
    })
    const { provider } = await connected(t, server.origin, { timeouts: { ...PATIENT, totalMs: 600 } })
    const began = performance.now()
    await refused(t, provider.exchangeCode(exchange), { reason: 'provider_unavailable', unsent: false })
    const took = performance.now() - began
    t.ok(took > 500 && took < 5000, `${took} ms`)
    t.equal(server.requests.length, 1)
  })

  t.test('one whose connection does not come about costs the connect deadline (F-08)', async (t) => {
    // TCP connects, the TLS handshake never comes.
    const sockets: net.Socket[] = []
    const mute = net.createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
      mute.close()
    })
    const origin = `https://127.0.0.1:${(mute.address() as AddressInfo).port}`
    const patient = await connected(t, origin, { timeouts: { ...PATIENT, connectMs: 300 } })
    await refused(t, patient.provider.exchangeCode(exchange), {
      reason: 'provider_unavailable',
      unsent: true,
    })
    const hasty = await connected(t, origin, {
      timeouts: { ...PATIENT, totalMs: 200 },
    })
    const began = performance.now()
    await refused(t, hasty.provider.exchangeCode(exchange), { reason: 'provider_unavailable', unsent: false })
    t.ok(performance.now() - began < 5000, 'the total deadline holds while connecting too')
  })

  t.test('an answer of 10 MB is cut off, not read (F-09)', async (t) => {
    let sent = 0
    let closed: Promise<unknown> | undefined
    const server = await serve(t, (_request, response) => {
      closed = once(response, 'close')
      response.writeHead(200, { 'content-type': 'application/json' })
      const more = () => {
        do sent += 65_536
        while (sent < 10_000_000 && response.write(Buffer.alloc(65_536, ' ')))
      }
      response.on('drain', more)
      more()
    })
    const { provider } = await connected(t, server.origin)
    await refused(t, provider.exchangeCode(exchange), { reason: 'provider_answer_invalid', statusCode: 502 })
    await closed
    t.ok(sent < 10_000_000, `given up after ${sent} bytes`)
  })

  t.test('a head of more than 16 KiB is refused (F-09)', async (t) => {
    const server = await serve(t, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'x-large': 'x'.repeat(20_000) }).end('{}')
    })
    const { provider } = await connected(t, server.origin)
    await refused(t, provider.exchangeCode(exchange), { reason: 'provider_answer_invalid' })
  })

  t.test('nothing compressed is asked for or read (F-09)', async (t) => {
    const server = await serve(t, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'br' })
      response.end(JSON.stringify(TOKENS))
    })
    const { provider } = await connected(t, server.origin)
    await refused(t, provider.exchangeCode(exchange), { reason: 'provider_answer_invalid' })
    t.equal(server.requests[0]!.headers['accept-encoding'], 'identity')
  })
})

t.test('requests that are given up', async (t) => {
  /** A provider client whose one request is in our hands. */
  async function started(t: Test, totalMs: number) {
    const requests: { handler: Dispatcher.DispatchHandler; aborted: boolean; abort: () => void }[] = []
    const dispatch: Dispatcher['dispatch'] = (_options, handler) => {
      const abort = () => {
        request.aborted = true
      }
      const request = { handler, aborted: false, abort }
      requests.push(request)
      return true
    }
    const timeouts = { ...PATIENT, totalMs }
    const { provider } = await connected(t, 'https://as.example', { timeouts }, { dispatcher: { dispatch } })
    const call = provider.exchangeCode(exchange)
    await new Promise((resolve) => setImmediate(resolve))
    return { call, request: requests[0]! }
  }

  t.test('one that was still in the queue for a connection is not sent later (C-17)', async (t) => {
    const { call, request } = await started(t, 10)
    await refused(t, call, { reason: 'provider_unavailable', unsent: false })
    request.handler.onConnect!(request.abort)
    t.ok(request.aborted)
  })

  t.test('one with a wrong head is read on for its connection, but only so far (F-09)', async (t) => {
    const { call, request } = await started(t, PATIENT.totalMs)
    const { handler } = request
    handler.onConnect!(request.abort)
    handler.onHeaders!(503, [], () => {}, '')
    await refused(t, call, { reason: 'provider_unavailable', unsent: false })
    handler.onData!(Buffer.alloc(65_536))
    t.notOk(request.aborted)
    handler.onData!(Buffer.alloc(1))
    t.ok(request.aborted)
    handler.onError!(new Error('aborted'))
  })
})

t.test('connections', async (t) => {
  t.test('a redirect is not followed (RFC 9110 §15.4, F-04)', async (t) => {
    const upstream = await serve(t, (_request, response) => sendTokens(response))
    for (const status of [302, 307, 308]) {
      const server = await serve(t, (_request, response) => {
        response.writeHead(status, { location: `${upstream.origin}/token` }).end()
      })
      const { provider } = await connected(t, server.origin)
      await refused(t, provider.exchangeCode(exchange), { reason: 'provider_answer_invalid' })
    }
    t.equal(upstream.requests.length, 0)
  })

  t.test(
    'an exchange is sent once, whatever the connection does (RFC 9110 §9.2.2, C-17, D-09)',
    async (t) => {
      const faults: Record<string, RequestListener> = {
        'closes at once': (request) => request.socket.destroy(),
        resets: (request) => (request.socket as net.Socket).resetAndDestroy(),
        'dies in mid-body': (request, response) => {
          response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' })
          response.write('{"access_token":', () => request.socket.destroy())
        },
        'dies in mid-chunk': (request, response) => {
          response.writeHead(200, { 'content-type': 'application/json' })
          response.write('{"access_token":', () => request.socket.destroy())
        },
        '503': (_request, response) => response.writeHead(503, { 'retry-after': '0' }).end('x'),
      }
      for (const [fault, listener] of Object.entries(faults)) {
        const server = await serve(t, listener)
        const { provider } = await connected(t, server.origin)
        await refused(
          t,
          provider.exchangeCode(exchange),
          { reason: 'provider_unavailable', unsent: false },
          fault,
        )
        await refused(
          t,
          provider.refresh({ refreshToken: 'r1' }),
          { reason: 'provider_unavailable', unsent: false },
          fault,
        )
        t.equal(server.requests.length, 2, 'one each')
      }
    },
  )

  t.test('a kept connection that the provider closes meanwhile is not written to twice (C-17)', async (t) => {
    const server = await serve(t, (request, response) => {
      if (server.requests.length === 1) sendTokens(response)
      else request.socket.destroy()
    })
    const { provider } = await connected(t, server.origin)
    await provider.exchangeCode(exchange)
    const first = server.requests[0]!.socket
    await new Promise((resolve) => setImmediate(resolve))
    await refused(t, provider.exchangeCode(exchange), { reason: 'provider_unavailable', unsent: false })
    t.equal(server.requests.length, 2)
    t.ok(server.requests[1]!.socket === first, 'the connection was kept')
  })

  t.test('a closed port is known to have received nothing (D-09)', async (t) => {
    const server = http.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    const { provider } = await connected(t, `http://127.0.0.1:${port}`)
    const error = await refused(t, provider.refresh({ refreshToken: 's3cret' }), {
      reason: 'provider_unavailable',
      unsent: true,
    })
    t.match(everythingIn(error), /ECONNREFUSED/)
    t.notMatch(everythingIn(error), /s3cret|127\.0\.0\.1/)
  })

  t.test('cookies and HTTP proxies of the environment are no concern of ours (F-11, F-20)', async (t) => {
    const proxy = await serve(t, (_request, response) => sendTokens(response))
    const names = ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'NODE_USE_ENV_PROXY']
    const before = names.map((name) => [name, process.env[name]] as const)
    for (const name of names) process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : proxy.origin
    t.teardown(() => {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
    })
    const server = await serve(t, (_request, response) => {
      response.setHeader('set-cookie', 'a=b')
      sendTokens(response)
    })
    const { provider } = await connected(t, server.origin)
    await provider.exchangeCode(exchange)
    await provider.exchangeCode(exchange)
    t.equal(server.requests.length, 2)
    t.equal(server.requests[1]!.headers.cookie, undefined)
    t.equal(proxy.requests.length, 0)
  })

  t.test(
    'a certificate that nobody vouches for is refused whatever the environment says (RFC 9700 §2.6, F-07)',
    async (t) => {
      const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
      process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
      t.teardown(() => {
        if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
        else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
      })
      const server = await listen(
        t,
        https.createServer({ key: KEY, cert: CERTIFICATE }, (_request, response) => sendTokens(response)),
      )
      const { provider } = await connected(t, server.origin)
      const error = await refused(t, provider.exchangeCode(exchange), {
        reason: 'provider_unavailable',
        unsent: true,
      })
      t.match(everythingIn(error), /DEPTH_ZERO_SELF_SIGNED_CERT/)
      t.equal(server.requests.length, 0)
    },
  )
})

t.test('addresses', async (t) => {
  t.test('only the public internet is public (RFC 6890, F-03)', async (t) => {
    const inside = [
      '0.0.0.0',
      '10.1.2.3',
      '100.64.0.1',
      '127.0.0.1',
      '127.1.2.3',
      '169.254.169.254',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '198.18.0.1',
      '224.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      'fe80::1',
      'fe80::1%lo',
      'fd00:ec2::254',
      'fec0::1',
      'ff02::1',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '::ffff:169.254.169.254',
      '::127.0.0.1',
      '64:ff9b::169.254.169.254',
      '64:ff9b::a9fe:a9fe',
      '64:ff9b::a00:1',
      '64:ff9b:1::1',
      '2002:7f00:1::',
      '2002:a9fe:a9fe::1',
      '2001::1',
      '2001:db8::1',
      '3fff::1',
      'localhost',
      '',
    ]
    for (const address of inside) t.equal(isPublicAddress(address), false, address)
    const outside = [
      '8.8.8.8',
      '172.32.0.1',
      '192.0.1.1',
      '2606:4700::1111',
      '::ffff:8.8.8.8',
      '64:ff9b::808:808',
    ]
    for (const address of outside) t.equal(isPublicAddress(address), true, address)
  })

  type Network = Parameters<typeof createDispatcher>[0]
  const network: Network = {
    issuer: 'https://as.example',
    timeouts: providerOptions.timeouts,
    dangerouslyAllowPrivateNetwork: false,
  }
  /** Asks `origin` over connections for `overrides`, where names lead to `addresses`. */
  async function ask(t: Test, origin: string, addresses: string[], overrides: Partial<Network> = {}) {
    const asked: string[] = []
    const dispatcher = createDispatcher({ ...network, ...overrides }, (hostname, _options, callback) => {
      asked.push(hostname)
      callback(
        null,
        addresses.map((address) => ({ address, family: net.isIP(address) })),
      )
    })
    t.teardown(() => dispatcher.destroy())
    const answer = await dispatcher.request({ origin, path: '/', method: 'GET' }).then(
      async ({ body }) => body.text(),
      (error: { detail?: string }) => error.detail,
    )
    return { answer, asked }
  }

  t.test('a name that leads inside is not connected to (RFC 9101 §10.4, F-03)', async (t) => {
    const server = await serve(t, (_request, response) => response.end('inside'))
    const origin = `https://as.example:${server.port}`
    t.equal((await ask(t, origin, ['127.0.0.1'])).answer, 'ADDRESS_REFUSED')
    t.equal((await ask(t, origin, ['::ffff:127.0.0.1', '10.0.0.1'])).answer, 'ADDRESS_REFUSED')
    t.equal(
      (await ask(t, `http://127.0.0.1:${server.port}`, [])).answer,
      'ADDRESS_REFUSED',
      'a literal is not looked up',
    )
    t.equal((await ask(t, `http://[::ffff:7f00:1]:${server.port}`, [])).answer, 'ADDRESS_REFUSED')
    t.equal(server.requests.length, 0)
  })

  t.test(
    'the address that was checked is the one connected to, and it is asked for once (F-03)',
    async (t) => {
      const server = await serve(t, (_request, response) => response.end('inside'))
      const { answer, asked } = await ask(t, `http://as.example:${server.port}`, ['127.0.0.1'], {
        dangerouslyAllowPrivateNetwork: true,
      })
      t.equal(answer, 'inside')
      t.same(asked, ['as.example'])
    },
  )

  t.test(
    'a loopback issuer leads to loopback addresses of its own origin, and nowhere else (F-03)',
    async (t) => {
      const own = await serve(t, (_request, response) => response.end('own'))
      const other = await serve(t, (_request, response) => response.end('other'))
      const literal = { issuer: own.origin }
      t.equal((await ask(t, own.origin, [], literal)).answer, 'own')
      t.equal((await ask(t, other.origin, [], literal)).answer, 'ADDRESS_REFUSED')
      const named = { issuer: `http://localhost:${own.port}` }
      t.equal((await ask(t, named.issuer, ['127.0.0.1'], named)).answer, 'own')
      t.equal((await ask(t, named.issuer, ['8.8.8.8'], named)).answer, 'ADDRESS_REFUSED')
      t.equal(other.requests.length, 0)
    },
  )

  t.test(
    'an issuer in the private network is a wrong configuration, not an outage (F-01, F-03)',
    async (t) => {
      const { log } = recordingLog()
      const dispatcher = createDispatcher(network, (_hostname, _options, callback) =>
        callback(null, [{ address: '10.0.0.1', family: 4 }]),
      )
      t.teardown(() => dispatcher.destroy())
      const provider = createProvider({
        provider: providerOptions,
        callbackUrl: 'x',
        log,
        dispatcher,
        environment: {},
      })
      const error = await provider.start().catch((error: unknown) => error)
      t.match(error, {
        name: 'ConfigError',
        problems: [
          { path: ['provider', 'issuer'], problem: /private address.*dangerouslyAllowPrivateNetwork/ },
        ],
      })
    },
  )
})

t.test(
  'a real provider: discovery, PAR, login, exchange, refresh, userinfo, revocation (F-01, A-25, F-14)',
  async (t) => {
    const { privateKey } = await generateKeyPair('RS256', { extractable: true })
    const key = { ...(await exportJWK(privateKey)), alg: 'RS256', kid: 'k1' }
    const callbackUrl = 'http://127.0.0.1:3000/oauth2/callback'
    let handle: RequestListener = () => {}
    const { origin } = await serve(t, (request, response) => handle(request, response))
    const oidc = new Oidc(origin, {
      jwks: { keys: [key] },
      cookies: { keys: ['test'] },
      clients: [
        {
          client_id: 'backend',
          client_secret: 'secret',
          redirect_uris: [callbackUrl],
          grant_types: ['authorization_code', 'refresh_token'],
        },
      ],
      features: {
        devInteractions: { enabled: false },
        pushedAuthorizationRequests: { enabled: true },
        revocation: { enabled: true },
      },
      interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
      issueRefreshToken: async () => true,
      findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    })
    // Alice signs in and consents without being asked.
    const interact = async (request: IncomingMessage, response: ServerResponse) => {
      const { prompt, params } = await oidc.interactionDetails(request, response)
      if (prompt.name === 'login') {
        await oidc.interactionFinished(request, response, { login: { accountId: 'alice' } })
        return
      }
      const grant = new oidc.Grant({ accountId: 'alice', clientId: 'backend' })
      grant.addOIDCScope(String(params.scope))
      await oidc.interactionFinished(request, response, { consent: { grantId: await grant.save() } })
    }
    const protocol = oidc.callback()
    handle = (request, response) =>
      void (request.url!.startsWith('/interaction/') ? interact : protocol)(request, response)

    const { log, lines } = recordingLog()
    const provider = createProvider({
      provider: {
        ...providerOptions,
        issuer: origin,
        clientAuthentication: 'client_secret_basic',
      },
      callbackUrl,
      log,
      environment: {},
    })
    t.teardown(() => provider.close())
    await provider.start()
    t.equal(provider.ready, true)
    t.equal(provider.issRequired, true)

    const codeVerifier = randomBytes(32).toString('base64url')
    const url = await provider.authorizationUrl({
      state: 'pks_1',
      nonce: 'n1',
      codeChallenge: createHash('sha256').update(codeVerifier).digest('base64url'),
      extraScope: [],
      passThrough: {},
      prompt: true,
    })
    t.same([...new URL(url).searchParams.keys()], ['client_id', 'request_uri'])

    const callback = await browse(url, callbackUrl)
    t.equal(callback.searchParams.get('iss'), origin)
    const tokens = await provider.exchangeCode({
      code: callback.searchParams.get('code')!,
      codeVerifier,
      nonce: 'n1',
    })
    t.match(tokens, { tokenType: 'Bearer', claims: { sub: 'alice', iss: origin, aud: 'backend' } })
    t.same(await provider.userinfo(tokens.accessToken, 'alice'), { sub: 'alice' })

    const refreshed = await provider.refresh({ refreshToken: tokens.refreshToken!, subject: 'alice' })
    t.not(refreshed.accessToken, tokens.accessToken)
    provider.revoke({
      accessToken: refreshed.accessToken,
      refreshToken: refreshed.refreshToken ?? tokens.refreshToken,
    })
    await provider.close()
    t.same(
      lines.filter(({ level }) => level !== 'info'),
      [],
    )
  },
)

/** Follows redirects as a browser would, cookies included, until one leads to `target`. */
async function browse(start: string, target: string): Promise<URL> {
  const cookies = new Map<string, string>()
  let url = new URL(start)
  for (let step = 0; step < 10; step += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { redirect: 'manual', headers: { cookie } })
    await response.body?.cancel()
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
      if (value === '') cookies.delete(name!)
      else cookies.set(name!, value!)
    }
    url = new URL(response.headers.get('location') ?? '', url)
    if (url.href.startsWith(target)) return url
  }
  throw new Error('the login does not come to an end')
}
