/** A reload is whole or nothing, and what has begun before it ends where it began. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import t, { type Test } from 'tap'
import { fetch } from 'undici'
import { serve } from '../../support/gateway-command.ts'
import { reloadableGateway } from '../../support/reloadable-gateway.ts'
import { json } from '../../support/stub-provider.ts'
import { until } from '../../support/wait.ts'

t.setTimeout(120_000)

const secretOf = (byte: number) => Buffer.alloc(32, byte).toString('base64url')

t.test(
  'routes, targets and clients follow the file, and the difference is told without secrets (Q-03)',
  async (t) => {
    const { app, reload, log, api, gateway } = await reloadableGateway(t)
    const before = gateway.reloadedAt
    const { access_token } = await app.login()
    t.equal((await app.call(access_token)).status, 200)
    t.equal((await app.call(access_token, '/new/orders')).status, 404)

    const outcome = await reload((config) => ({
      ...config,
      provider: { ...config.provider, clientSecret: 'rotated-hunter2' },
      clients: [...config.clients, { clientId: 'other', redirectUris: ['com.example.other:/callback'] }],
      upstreams: [
        { ...config.upstreams![0]!, retry: true },
        { prefix: '/new', target: api.origin },
      ],
    }))
    t.same(outcome, {
      changes: [
        'provider.clientSecret: changed',
        'clients[other]: added',
        'upstreams[/status]: removed',
        'upstreams[/api].retry: false -> true',
        'upstreams[/new]: added',
      ],
      ignored: [],
    })
    t.equal((await app.call(access_token)).status, 200, 'the session goes on')
    t.equal((await app.call(access_token, '/new/orders')).status, 200)
    t.equal((await app.call(undefined, '/status')).status, 404)
    t.ok(gateway.reloadedAt > before)
    t.match(
      log().find(({ msg }) => msg === 'configuration reloaded'),
      { level: 30, ...outcome, ignored: undefined },
    )
    t.notMatch(JSON.stringify(log()), 'hunter2')
  },
)

t.test('what needs a restart is named and stays, and the rest is changed (Q-03)', async (t) => {
  const { app, reload, log, gateway } = await reloadableGateway(t)
  const outcome = await reload((config) => ({
    ...config,
    publicUrl: 'https://other.example',
    routePrefix: '/auth',
    listen: { ...config.listen, port: 1, maxConnections: 5 },
    admin: { port: 2 },
    store: { type: 'memory', maxRecords: 5 },
    shutdown: { graceMs: 1 },
    upstreams: [],
  }))
  const ignored = [
    ...['publicUrl', 'routePrefix', 'store.maxRecords', 'listen.port', 'listen.maxConnections'],
    // By default as many as there may be connections.
    ...['listen.overload.requestsInFlight', 'admin.port', 'shutdown.graceMs'],
  ]
  t.same('ignored' in outcome && [...outcome.ignored].sort(), ignored.sort())
  t.match(
    log().find(({ ignored }) => ignored),
    { level: 40, msg: /need a restart/ },
  )
  const { access_token } = await app.login()
  t.equal((await app.call(access_token)).status, 404)
  t.equal((await fetch(`${gateway.adminAddress}/readyz`)).status, 200)
})

t.test('a configuration that is wrong in one place changes nothing (Q-03)', async (t) => {
  const { app, reload, log, gateway, api } = await reloadableGateway(t)
  const since = gateway.reloadedAt
  const { access_token } = await app.login()
  const outcome = await reload((config) => ({
    ...config,
    upstreams: [
      { prefix: '/new', target: api.origin },
      { prefix: '/bad', target: 'ftp://a' },
    ],
  }))
  t.match(outcome, { problems: [/upstreams\[1\]\.target: must be an http or https URL/] })
  t.equal((await app.call(access_token)).status, 200)
  t.equal((await app.call(access_token, '/new/a')).status, 404)
  t.equal(gateway.reloadedAt, since)
  t.match(log().at(-2) && log().find(({ problems }) => problems), {
    level: 50,
    msg: /the one before it stays/,
  })
})

t.test('a login goes on over reloads, wherever it is (Q-03)', async (t) => {
  const { app, reload, stub, publicUrl } = await reloadableGateway(t)
  const change = (codeSeconds: number) =>
    reload((config) => ({ ...config, lifetimes: { ...config.lifetimes, codeSeconds } }))
  // At the provider.
  const attempt = app.begin()
  const begun = await fetch(attempt.url, { redirect: 'manual' })
  await change(50)
  const asked = new URL(begun.headers.get('location')!).searchParams
  const cookie = begun.headers.getSetCookie().map((line) => line.split(';', 1)[0])
  const query = new URLSearchParams({ code: 'c', state: asked.get('state')! })
  const returned = await fetch(`${publicUrl}/oauth2/callback?${query}`, {
    headers: { cookie: cookie.join('; ') },
    redirect: 'manual',
  })
  // At the app, with our code.
  await change(51)
  const location = returned.headers.get('location') ?? /href="([^"]*)"/.exec(await returned.text())?.[1]
  const code = new URL(location!.replaceAll('&amp;', '&')).searchParams.get('code')!
  // In the middle of the token exchange.
  const exchange = new Promise<ServerResponse>((resolve) => {
    stub.behave.token = (_request, response) => resolve(response)
  })
  const redeemed = app.redeem({ ...attempt, code })
  const response = await exchange
  await change(52)
  const id_token = await stub.idToken({ nonce: asked.get('nonce')! })
  json(response, 200, { access_token: 'a', token_type: 'Bearer', expires_in: 3600, id_token })
  const { status, json: tokens } = await redeemed
  t.equal(status, 200)
  t.equal((await app.call(String(tokens.access_token))).status, 200)
})

t.test(
  'sessions live on the memory store without configured secrets, and with rotated ones (Q-03, F-06)',
  async (t) => {
    const { app, reload } = await reloadableGateway(t)
    const first = await app.login()
    await reload()
    t.equal((await app.call(first.access_token)).status, 200)

    const rotating = await reloadableGateway(t, (config) => ({ ...config, secrets: [secretOf(1)] }))
    const old = await rotating.app.login()
    await rotating.reload((config) => ({ ...config, secrets: [secretOf(2), secretOf(1)] }))
    const young = await rotating.app.login()
    t.equal((await rotating.app.call(old.access_token)).status, 200)
    await rotating.reload((config) => ({ ...config, secrets: [secretOf(2)] }))
    t.equal((await rotating.app.call(young.access_token)).status, 200)
    t.equal((await rotating.app.call(old.access_token)).status, 401)
    t.notOk(rotating.log().some(({ msg }) => String(msg).startsWith('secrets: none')))
    await rotating.reload((config) => ({ ...config, secrets: [secretOf(3)] }))
    t.ok(rotating.log().some(({ msg }) => String(msg).startsWith('secrets: none of those before is kept')))
  },
)

t.test('what limits have counted is not forgotten by a reload (Q-03, A-20, J-05)', async (t) => {
  const { app, reload } = await reloadableGateway(t, (config) => ({
    ...config,
    rateLimit: { token: { max: 3, windowMs: 60_000 }, authorize: { max: 1000, windowMs: 60_000 } },
    limits: { transactionsPerAddress: 3 },
  }))
  const begin = async () => (await fetch(app.begin().url, { redirect: 'manual' })).status
  const ask = async () => (await app.refresh('unknown')).status
  t.same([await begin(), await begin(), await ask(), await ask()], [302, 302, 400, 400])
  await reload((config) => ({ ...config, tokens: 'opaque' }))
  t.same([await begin(), await ask()], [302, 400])
  await reload()
  t.same([await begin(), await ask()], [429, 429], 'the fourth of each')
})

t.test('a provider that is away does not matter unless it is changed (Q-03)', async (t) => {
  const { app, reload, stub } = await reloadableGateway(t)
  const reads = stub.count('/.well-known/openid-configuration')
  const back = await stub.leave()
  t.match(await reload((config) => ({ ...config, upstreams: [] })), { changes: [/upstreams/, /upstreams/] })
  t.equal((await fetch(app.begin().url, { redirect: 'manual' })).status, 302, 'its metadata is known')
  const changed = await reload((config) => ({ ...config, provider: { ...config.provider, scope: 'openid' } }))
  t.match(changed, { problems: [/provider\.issuer: .* cannot be reached/] })
  const { searchParams } = new URL(
    (await fetch(app.begin().url, { redirect: 'manual' })).headers.get('location')!,
  )
  t.match(searchParams.get('scope'), 'email', 'the one before it')
  await back()
  t.match(await reload(), { changes: ['provider.scope: "openid email profile offline_access" -> "openid"'] })
  t.ok(stub.count('/.well-known/openid-configuration') > reads)

  stub.metadata.issuer = 'https://somebody.else'
  const wrong = await reload((config) => ({ ...config, provider: { ...config.provider, scope: 'openid a' } }))
  t.match(wrong, { problems: [/the metadata names another issuer/] })
  await app.login()
})

t.test('streams and WebSockets of before go on, until they or their session end (Q-03, H-30)', async (t) => {
  const open: ServerResponse[] = []
  const events = await serve(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
    open.push(response)
  })
  const sockets = await echoSockets(t)
  const { app, reload, publicUrl } = await reloadableGateway(t, (config) => ({
    ...config,
    upstreams: [{ prefix: '/events', target: events }],
  }))
  const { access_token, refresh_token } = await app.login()
  const other = await app.login()
  const listen = async (token: string) => {
    const answer = await fetch(`${publicUrl}/events`, { headers: { authorization: `Bearer ${token}` } })
    const reader = answer.body!.getReader()
    await reader.read()
    return reader
  }
  const first = await listen(access_token)
  // The first upstream with WebSockets comes by a reload.
  await reload((config) => ({
    ...config,
    upstreams: [...config.upstreams!, { prefix: '/ws', target: sockets, websocket: true }],
  }))
  const tunnel = await openWebSocket(publicUrl, access_token)
  await reload((config) => ({ ...config, upstreams: [{ prefix: '/events', target: events }] }))
  const second = await listen(other.access_token)

  open[0]!.write('data: 2\n\n')
  t.match(new TextDecoder().decode((await first.read()).value as Uint8Array), 'data: 2')
  tunnel.write('hello')
  t.equal(String((await once(tunnel, 'data'))[0]), 'hello')

  await app.revoke(refresh_token)
  const [end] = await Promise.all([first.read(), once(tunnel, 'close')])
  t.equal(end.done, true)
  open[1]!.write('data: 2\n\n')
  t.match(
    new TextDecoder().decode((await second.read()).value as Uint8Array),
    'data: 2',
    'of another session',
  )
  await reload((config) => ({ ...config, clients: [{ ...config.clients[0]!, enabled: false }] }))
  t.equal((await second.read()).done, true, 'nor of a client that is not served any more')
})

t.test(
  'connections to an old target are closed with its last request; reloads are taken one by one (Q-03)',
  async (t) => {
    let connections = 0
    const held: ServerResponse[] = []
    const target = await serve(t, (request, response) => {
      connections++
      request.socket.once('close', () => connections--)
      if (request.url === '/slow') held.push(response)
      else response.end('ok')
    })
    const { app, reload, log, api } = await reloadableGateway(t, (config) => ({
      ...config,
      upstreams: [{ prefix: '/api', target, public: true }],
    }))
    const slow = app.call(undefined, '/api/slow')
    await until(() => held.length === 1)
    const change = (config: Parameters<Parameters<typeof reload>[0] & object>[0]) => ({
      ...config,
      upstreams: [{ prefix: '/api', target: api.origin, public: true }],
    })
    const underWay = reload(change)
    await new Promise((resolve) => setImmediate(resolve))
    await Promise.all([underWay, reload(), reload(), reload()])
    t.equal(
      log().filter(({ msg }) => msg === 'configuration reloaded').length,
      2,
      'those who waited share one',
    )
    t.match((await app.call(undefined, '/api/a')).text, '"path": "/a"')
    await new Promise((resolve) => setTimeout(resolve, 600))
    t.equal(connections, 1)
    held[0]!.end('slow')
    t.equal((await slow).text, 'slow')
    await until(() => connections === 0)
  },
)

t.test(
  'a gateway that stops takes the streams of all its generations along, and reloads no more (Q-03, K-07)',
  async (t) => {
    const events = await serve(t, (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
    })
    const { gateway, reload, publicUrl } = await reloadableGateway(t, (config) => ({
      ...config,
      upstreams: [{ prefix: '/events', target: events, public: true }],
    }))
    const bodies: Promise<unknown>[] = []
    for (let turn = 0; turn < 3; turn++) {
      const answer = await fetch(`${publicUrl}/events`)
      bodies.push(answer.text().catch(() => 'broken off'))
      await reload()
    }
    const from = performance.now()
    const stopped = gateway.stop()
    t.match(await reload(), { problems: ['the gateway is closing'] })
    await stopped
    t.ok(performance.now() - from < 5000)
    t.equal((await Promise.all(bodies)).length, 3)
  },
)

/** @returns its URL: it accepts every handshake, and sends back what it gets. */
async function echoSockets(t: Test): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (head) => {
      const key = /sec-websocket-key: (\S+)/i.exec(String(head))![1]
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
      socket.write(
        `HTTP/1.1 101 S\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
      )
      socket.on('data', (piece) => socket.write(piece))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** @returns the connection, after the 101. */
async function openWebSocket(publicUrl: string, token: string) {
  const { host, port } = new URL(publicUrl)
  const socket = connect(Number(port), '127.0.0.1').on('error', () => {})
  const key = 'dGhlIHNhbXBsZSBub25jZQ=='
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  )
  const [head] = await once(socket, 'data')
  if (!String(head).startsWith('HTTP/1.1 101')) throw new Error(String(head))
  return socket
}
