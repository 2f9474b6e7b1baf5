/** The examples of the README and of the plugin guide (docs/plugin.md), as printed. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import fastify from 'fastify'
import * as oidc from 'openid-client'
import t, { type Test } from 'tap'
import { WebSocket } from 'undici'
import { gatewayAtProvider } from '../../examples/demo/configuration.ts'
import { login } from '../../examples/demo/login.ts'
import { type DemoProvider, startProvider } from '../../examples/demo/provider.ts'
import { invoices } from '../../examples/forward-a-little.ts'
import { live } from '../../examples/websocket.ts'
import { testSession } from '../../plugin/api/testing.ts'
import pkce from '../../plugin/index.ts'
import { startExample } from '../support/example.ts'
import { freePort } from '../support/gateway-stack.ts'
import { noRedis, startRedis } from '../support/redis-server.ts'

const CLIENT_SECRET = 'backend-secret'

/** A provider by the book, where the example is registered. */
async function providerOf(t: Test, publicUrl: string): Promise<DemoProvider> {
  const backend = { ...gatewayAtProvider(publicUrl), client_id: 'backend', client_secret: CLIENT_SECRET }
  const provider = await startProvider({ port: 0, clients: [backend] })
  t.teardown(() => provider.close())
  return provider
}

/** By a client that we did not write. */
async function tokensOf(publicUrl: string): Promise<oidc.TokenEndpointResponse> {
  const config = await oidc.discovery(new URL(publicUrl), 'com.example.app', undefined, oidc.None(), {
    execute: [oidc.allowInsecureRequests],
  })
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const authorizationUrl = oidc.buildAuthorizationUrl(config, {
    redirect_uri: 'com.example.app:/callback',
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  const { redirectTo } = await login(authorizationUrl.href, { username: 'alice', password: 'password' })
  return oidc.authorizationCodeGrant(config, new URL(redirectTo), { pkceCodeVerifier })
}

t.test("the README's app: 401 without a login; after one the subject, and a refresh token", async (t) => {
  const publicUrl = `http://127.0.0.1:${await freePort()}`
  const { issuer } = await providerOf(t, publicUrl)
  await startExample(t, 'protect-a-route', { publicUrl, issuer }, { CLIENT_SECRET })

  const refused = await fetch(`${publicUrl}/me`)
  t.equal(refused.status, 401)
  t.match(refused.headers.get('www-authenticate'), /^Bearer realm="[^"]+"$/)

  const { access_token, refresh_token } = await tokensOf(publicUrl)
  t.type(refresh_token, 'string')
  const me = await fetch(`${publicUrl}/me`, { headers: { authorization: `Bearer ${access_token}` } })
  t.equal(me.status, 200)
  t.same(await me.json(), { subject: 'alice' })
})

t.test(
  'several instances: a session of one is known to the other, and ended by it',
  { skip: noRedis },
  async (t) => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const publicUrl = `http://127.0.0.1:${await freePort()}`
    const otherPort = await freePort()
    const { issuer } = await providerOf(t, publicUrl)
    const environment = {
      CLIENT_SECRET,
      REDIS_URL: redis.url,
      // As the guide says: `openssl rand -hex 32`.
      PKCE_SECRET: execFileSync('openssl', ['rand', '-hex', '32'], { encoding: 'utf8' }).trim(),
    }
    await startExample(t, 'several-instances', { publicUrl, issuer }, environment)
    await startExample(t, 'several-instances', { publicUrl, issuer, port: otherPort }, environment)

    const { access_token } = await tokensOf(publicUrl)
    const call = (origin: string, path: string, method = 'GET') =>
      fetch(origin + path, { method, headers: { authorization: `Bearer ${access_token}` } })
    const other = `http://127.0.0.1:${otherPort}`
    t.same(await (await call(publicUrl, '/orders')).json(), { of: 'alice' })
    t.same(await (await call(other, '/orders')).json(), { of: 'alice' })
    t.equal((await call(publicUrl, '/orders', 'POST')).status, 201)
    t.same(await (await call(other, '/logout-everywhere', 'POST')).json(), { ended: 1 })
    t.equal((await call(publicUrl, '/orders')).status, 401)
  },
)

const login0 = 'https://login.example.com'

/** A team's app with one of the examples in it. */
async function appWith(t: Test, example: typeof live) {
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(pkce, {
    publicUrl: 'https://api.example.com',
    provider: {
      ...{ issuer: login0, clientId: 'backend', clientSecret: 'secret' },
      ...{ authorizationEndpoint: login0, tokenEndpoint: login0, jwksUri: login0 },
    },
    clients: [{ clientId: 'app', redirectUris: ['com.example.app:/callback'], scopes: ['orders.read'] }],
  })
  await app.register(example)
  const origin = await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, origin, alice: await testSession(app, { subject: 'alice' }) }
}

t.test('a WebSocket route: no session, no socket; and it closes with its session', async (t) => {
  const { origin, alice } = await appWith(t, live)
  const open = (headers: Record<string, string>) => {
    const socket = new WebSocket(`${origin.replace('http', 'ws')}/live`, { headers })
    return new Promise<{ hello?: string; code?: Promise<number> }>((resolve) => {
      socket.addEventListener('error', () => resolve({}))
      const code = new Promise<number>((closed) =>
        socket.addEventListener('close', (event) => closed(event.code)),
      )
      socket.addEventListener('message', ({ data }) => resolve({ ...JSON.parse(data), code }))
    })
  }
  t.same(await open({}), {})
  const { hello, code } = await open({ authorization: alice.authorization })
  t.equal(hello, 'alice')
  const from = performance.now()
  await alice.end()
  t.equal(await code, 1008)
  t.ok(performance.now() - from < 1000, 'within a second')
})

t.test('@fastify/http-proxy behind a session: the other service gets ours alone', async (t) => {
  const seen: { url: string | undefined; headers: NodeJS.Dict<string | string[]> }[] = []
  const service = createServer(({ url, headers }, response) => {
    seen.push({ url, headers })
    response.end('[]')
  })
  await new Promise<void>((listening) => service.listen(0, '127.0.0.1', listening))
  t.teardown(() => service.close())
  process.env.INVOICES_URL = `http://127.0.0.1:${(service.address() as { port: number }).port}`
  t.teardown(() => delete process.env.INVOICES_URL)
  const { origin, alice } = await appWith(t, invoices)

  t.equal((await fetch(`${origin}/invoices/2026`)).status, 401)
  t.same(seen, [])
  const answer = await fetch(`${origin}/invoices/2026?open`, {
    headers: { authorization: alice.authorization, 'x-subject': 'root', cookie: 'a=b' },
  })
  t.equal(answer.status, 200)
  t.match(seen, [
    {
      url: '/2026?open',
      headers: {
        authorization: alice.session.providerAuthorization,
        'x-subject': 'alice',
        cookie: undefined,
      },
    },
  ])
})

t.test("the guide's test file passes, and needs no network", async (t) => {
  const file = 'build/examples/orders.test.js'
  if (!existsSync(file)) execFileSync('npm', ['run', 'build'])
  const arguments_ = [
    '-u',
    'NODE_OPTIONS',
    '-u',
    'TAP',
    process.execPath,
    '--test-reporter=tap',
    '--test',
    file,
  ]
  const said = execFileSync('/usr/bin/env', arguments_, { encoding: 'utf8' })
  t.match(said, /^# pass 1$/m)
  t.match(said, /^# fail 0$/m)
})
