/**
 * Real nginx and real Caddy with the samples of docs/forward-auth.md, in front of a gateway and an API, after a whole
 * login at a real provider. They forward exactly what the gateway would.
 */
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { startGatewayStack } from '../../support/gateway-stack.ts'
import { NativeApp, send } from '../../support/native-app.ts'
import { PATHS, tricked } from '../../support/path-tricks.ts'
import { freePort, proxies } from '../../support/proxy-server.ts'
import { exchange, field, type WireAnswer } from '../../support/wire.ts'

async function setUp(t: Test, language: keyof typeof proxies) {
  const proxy = await freePort()
  const [{ identityHeaders }] = parse(
    /```yaml\n(.*?)```/s.exec(readFileSync('docs/forward-auth.md', 'utf8'))![1]!,
  ).upstreams
  const stack = await startGatewayStack(t, (config) => ({
    ...config,
    trustProxy: ['127.0.0.1'],
    forwardAuth: true,
    allowedHosts: [`127.0.0.1:${proxy}`],
    upstreams: tricked().map((route) => ({
      ...route,
      ...(config.upstreams?.[0]?.target && { target: config.upstreams[0].target }),
      ...(!route.public && { identityHeaders }),
      websocket: route.prefix === '/api',
    })),
  }))
  let seen: Record<string, unknown> = {}
  stack.api.onRequest(({ headers }) => {
    seen = { ...headers }
  })
  await proxies[language].start(t, { proxy, gateway: stack.port, orders: stack.api.port })
  const { access_token: token } = await new NativeApp(stack).login()
  /** `seen`: header fields of the newest request at the API. */
  return { stack, proxy, token, seen: () => seen }
}

function ask(port: number, method: string, target: string, ...lines: string[]): Promise<WireAnswer> {
  const head = [`${method} ${target} HTTP/1.1`, `Host: 127.0.0.1:${port}`, 'Connection: close', ...lines]
  return exchange(port, `${head.join('\r\n')}\r\n\r\n`, method === 'HEAD')
}

for (const language of ['nginx', 'caddyfile'] as const) {
  t.test(`the sample for ${language}`, { skip: proxies[language].missing }, async (t) => {
    const { stack, proxy, token, seen } = await setUp(t, language)
    const { api } = stack
    const bearer = `Authorization: Bearer ${token}`

    await t.test('an app logs in through it, and its token is accepted (Q-10)', async (t) => {
      const metadata = await send(`http://127.0.0.1:${proxy}/.well-known/oauth-authorization-server`)
      t.equal(metadata.json.issuer, stack.publicUrl)
      const answer = await ask(proxy, 'GET', '/api/orders', bearer)
      t.equal(answer.status, 200)
      t.equal(seen()['x-user'], 'alice')
      t.match(seen().authorization, /^Bearer (?!pka_)/, "the provider's token")
      t.equal(seen()['x-email'], 'alice@example.com')
      t.equal((await ask(proxy, 'POST', '/api/orders', bearer, 'Content-Length: 0')).status, 200)
    })

    await t.test('all else is refused, with the challenge (Q-10, H-06)', async (t) => {
      const before = api.requests
      const none = await ask(proxy, 'GET', '/api/orders')
      t.equal(none.status, 401)
      t.match(field(none, 'www-authenticate'), /^Bearer realm=/)
      const bad = await ask(proxy, 'GET', '/api/orders', `${bearer}x`)
      t.equal(bad.status, 401)
      t.match(field(bad, 'www-authenticate'), /invalid_token/)
      const scope = await ask(proxy, 'GET', '/api/admin', bearer)
      t.equal(scope.status, 403)
      t.match(field(scope, 'www-authenticate'), /insufficient_scope/)
      t.equal((await ask(proxy, 'DELETE', '/api/orders', bearer)).status, 403)
      t.equal((await ask(proxy, 'OPTIONS', '/api/orders', bearer)).status, 403)
      t.equal(api.requests, before, 'nothing has reached the API')
    })

    await t.test(
      'what a client says of the original request is ignored (Q-10, CVE-2026-40575)',
      async (t) => {
        const before = api.requests
        const names: [string, string][] = [
          ['X-Original-URI', '/open/status'],
          ['X-Original-URL', `http://127.0.0.1:${proxy}/open/status`],
          ['X-Forwarded-Uri', '/open/status'],
          ['X-Original-Method', 'GET'],
          ['X-Forwarded-Method', 'GET'],
          ['X-Forwarded-Host', 'other.example'],
        ]
        for (const [name, value] of names) {
          for (const spelling of [name, name.toLowerCase(), name.replaceAll('-', '_')]) {
            const spoofed = `${spelling}: ${value}`
            t.equal((await ask(proxy, 'GET', '/api/orders', spoofed)).status, 401, spoofed)
            t.equal((await ask(proxy, 'DELETE', '/api/orders', bearer, spoofed)).status, 403, spoofed)
          }
        }
        const all = names.map(([name, value]) => `${name}: ${value}`)
        t.equal((await ask(proxy, 'GET', '/api/admin', bearer, ...all)).status, 403)
        t.equal(api.requests, before)
        t.equal((await ask(proxy, 'GET', '/api/orders', bearer, ...all)).status, 200, 'nor do they harm')
      },
    )

    await t.test('identity headers of a client are dropped (Q-10, H-12)', async (t) => {
      const spoofed = ['X-User: root', 'x-user: root', 'X-Email: root@example.com']
      t.equal((await ask(proxy, 'GET', '/api/orders', bearer, ...spoofed)).status, 200)
      t.equal(seen()['x-user'], 'alice')
      t.equal(seen()['x-email'], 'alice@example.com')
      t.equal((await ask(proxy, 'GET', '/open/status', bearer, ...spoofed)).status, 200)
      t.notMatch(JSON.stringify(seen()), /root|pka_/, 'on a public route there is nobody')
    })

    await t.test('a WebSocket handshake is judged by its route and its origin (Q-10, H-29)', async (t) => {
      const lines = [
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ]
      const open = (path: string, ...more: string[]) =>
        exchange(
          proxy,
          `${[`GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${proxy}`, 'Connection: Upgrade', ...lines, ...more].join('\r\n')}\r\n\r\n`,
        )
      // The API knows no WebSocket: it answers what has reached it like any request.
      t.equal((await open('/api/chat', bearer)).status, 200)
      const before = api.requests
      t.equal((await open('/api/chat')).status, 401)
      t.equal((await open('/api/chat', bearer, 'Origin: https://evil.example')).status, 403)
      t.equal((await open('/open/chat')).status, 403, 'a route without WebSocket')
      t.equal(api.requests, before)
    })

    await t.test('nobody outside can ask (Q-10)', async (t) => {
      const lines = [bearer, 'X-Original-URI: /api/orders', 'X-Original-Method: GET']
      for (const path of ['/oauth2/verify', '/oauth2/verify?x', '/oauth2/verify/api/orders']) {
        const answer = await ask(proxy, 'GET', path, ...lines)
        t.equal(answer.status, 404, path)
        t.equal(field(answer, 'authorization'), undefined)
      }
    })

    await t.test('a path is forwarded if the gateway would forward it (Q-10, H-08)', async (t) => {
      const different: string[] = []
      for (const target of PATHS.filter((path) => !/^\/(?:oauth2|\.well-known)\//.test(path))) {
        for (const lines of [[bearer], []]) {
          const { status } = await ask(stack.port, 'GET', target, ...lines)
          const before = api.requests
          const proxied = await ask(proxy, 'GET', target, ...lines)
          const [forwards, isForwarded] = [status === 200, api.requests > before]
          if (forwards !== isForwarded || forwards !== (proxied.status === 200))
            different.push(`${target} ${lines.length}: ${status} here, ${proxied.status} through the proxy`)
        }
      }
      t.same(different, [])
    })

    await t.test('nothing passes while the gateway cannot answer (Q-10, G-08)', async (t) => {
      const before = api.requests
      await stack.app.close()
      t.ok((await ask(proxy, 'GET', '/api/orders', bearer)).status >= 500)
      t.ok((await ask(proxy, 'GET', '/open/status')).status >= 500)
      t.equal(api.requests, before)
    })
  })
}
