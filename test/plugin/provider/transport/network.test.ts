import { once } from 'node:events'
import http, { type RequestListener, type ServerResponse } from 'node:http'
import https from 'node:https'
import type net from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { connected, listen, serve } from '../../../support/provider-server.ts'
import { everythingIn, exchange, refused, TOKENS } from '../../../support/provider-setup.ts'

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

function sendTokens(response: ServerResponse) {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(TOKENS))
}

t.test('connections', async (t) => {
  t.test('a redirect is not followed (RFC 9110 §15.4, F-04)', async (t) => {
    const upstream = await serve(t, (_request, response) => sendTokens(response))
    for (const status of [302, 307, 308]) {
      const server = await serve(t, (_request, response) => {
        response.writeHead(status, { location: `${upstream.origin}/token` }).end()
      })
      const { provider } = await connected(t, server.origin)
      await refused(t, provider.redeemCode(exchange), { reason: 'provider_answer_invalid' })
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
          provider.redeemCode(exchange),
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
    await provider.redeemCode(exchange)
    const first = server.requests[0]!.socket
    await new Promise((resolve) => setImmediate(resolve))
    await refused(t, provider.redeemCode(exchange), { reason: 'provider_unavailable', unsent: false })
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
    await provider.redeemCode(exchange)
    await provider.redeemCode(exchange)
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
      const error = await refused(t, provider.redeemCode(exchange), {
        reason: 'provider_unavailable',
        unsent: true,
      })
      t.match(everythingIn(error), /DEPTH_ZERO_SELF_SIGNED_CERT/)
      t.equal(server.requests.length, 0)
    },
  )
})
