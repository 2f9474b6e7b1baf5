/**
 * The threat: a log, an error page or an error header that hands credentials on. Complete journeys, the attacks
 * of the other files and every kind of failure run at trace level while a listening ear on all three servers
 * collects each credential that occurs; afterwards not a piece of one may be found, in any spelling
 * (requirements J-01 to J-03, C-17, C-21, H-27).
 */
import { randomBytes } from 'node:crypto'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import t, { type Test } from 'tap'
import { Browser, redirectOf } from '../support/browser.ts'
import { credentialsIn, leaks } from '../support/credentials.ts'
import { type GatewayStack, startGatewayStack } from '../support/gateway-stack.ts'
import { NativeApp, send } from '../support/native-app.ts'
import { testStore } from '../support/plugin-app.ts'
import { type Exchange, recordTraffic } from '../support/traffic.ts'
import { exchange, WireClient } from '../support/wire.ts'

const traffic = recordTraffic(t as unknown as Test)
const secret = () => randomBytes(24).toString('base64url')
const CONFIGURED = {
  gateway: secret(),
  office: secret(),
  reports: secret(),
  server: secret(),
  sealing: secret() + secret(),
}

/** An upstream that answers every connection with `bytes`. */
async function rawUpstream(t: Test, bytes: string): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(bytes))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function start(t: Test, tokens: 'opaque' | 'relay') {
  const store = testStore()
  const crash: { with: Error | undefined } = { with: undefined }
  const crashable = new Proxy(store, {
    get: (target, name) =>
      name === 'read' && crash.with ? () => Promise.reject(crash.with) : Reflect.get(target, name),
  })
  const malformed = await rawUpstream(t, 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n')
  const stack = await startGatewayStack(
    t,
    (config) => ({
      ...config,
      tokens,
      secrets: [CONFIGURED.sealing],
      provider: {
        ...config.provider,
        clientSecret: CONFIGURED.gateway,
        timeouts: { connectMs: 1000, headersMs: 1500, bodyMs: 1500, totalMs: 2000 },
      },
      clients: [
        config.clients[0]!,
        {
          clientId: 'office',
          clientSecret: CONFIGURED.office,
          authentication: 'client_secret_basic',
          redirectUris: ['https://office.example.com/callback'],
          scopes: ['orders.read'],
        },
        {
          clientId: 'reports',
          clientSecret: CONFIGURED.reports,
          authentication: 'client_secret_post',
          redirectUris: ['https://reports.example.com/callback'],
          scopes: ['reports.read'],
        },
      ],
      resourceServers: [{ clientId: 'server', clientSecret: CONFIGURED.server }],
      upstreams: [
        ...config.upstreams!,
        { prefix: '/malformed', target: malformed },
        { prefix: '/refused', target: 'http://127.0.0.1:1' },
      ],
    }),
    { registration: { client_secret: CONFIGURED.gateway }, store: crashable },
  )
  const phone = new NativeApp(stack)
  const office = new NativeApp(stack, {
    clientId: 'office',
    redirectUri: 'https://office.example.com/callback',
    secret: { method: 'basic', value: CONFIGURED.office },
  })
  const reports = new NativeApp(stack, {
    clientId: 'reports',
    redirectUri: 'https://reports.example.com/callback',
    secret: { method: 'post', value: CONFIGURED.reports },
  })
  /** Also those of the parser, which no listening ear hears. */
  const wireAnswers: string[] = []
  return { stack, store, crash, phone, office, reports, wireAnswers }
}

type Started = Awaited<ReturnType<typeof start>>

async function journeys({ stack, phone, office, reports }: Started): Promise<void> {
  for (const app of [phone, office, reports]) {
    const tokens = await app.login({ scope: undefined })
    await app.call(tokens.access_token, '/api/orders?session=1', { method: 'POST', body: 'x' })
    await send(`${stack.publicUrl}/oauth2/userinfo`, {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    await send(`${stack.publicUrl}/oauth2/introspect`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`server:${CONFIGURED.server}`).toString('base64')}` },
      body: new URLSearchParams({ token: tokens.access_token }),
    })
    const refreshed = (await app.refresh(tokens.refresh_token)).json
    await app.call(String(refreshed.access_token))
    await app.revoke(String(refreshed.refresh_token))
    await app.call(String(refreshed.access_token))
  }
}

async function attacks({ stack, phone, office, reports }: Started): Promise<void> {
  const stolen = await phone.code()
  await phone.redeem({ ...stolen, verifier: secret() + secret() })
  await office.redeem(stolen)
  const replayed = await phone.code()
  const tokens = (await phone.redeem(replayed)).json
  await phone.redeem(replayed, { code_verifier: secret() + secret() })
  await phone.redeem(replayed)
  await phone.call(String(tokens.access_token))
  await phone.call(undefined, `/api/orders?access_token=${tokens.access_token}`)
  await phone.call(undefined, `/nowhere?code=${stolen.code}`)
  await phone.call(undefined, `/${stolen.code}`.slice(0, 20))
  const reused = await phone.login()
  await phone.refresh(String((await phone.refresh(reused.refresh_token)).json.refresh_token))
  await phone.refresh(reused.refresh_token)
  await new NativeApp(stack, { ...reports, secret: { method: 'post', value: secret() } }).revoke(
    reused.refresh_token,
  )
  await new NativeApp(stack, { ...office, secret: { method: 'basic', value: secret() } })
    .login()
    .catch(() => {})
  await phone.post('token', { client_secret: secret(), grant_type: 'refresh_token', refresh_token: secret() })
  await phone.post(`token?code=${stolen.code}&code_verifier=${stolen.verifier}`, {})
  await phone.post('token', { grant_type: 'authorization_code', code: `${stolen.code}\u0000` })

  const [attacker, victim] = [new Browser(stack), new Browser(stack)]
  await victim.open(await attacker.signIn(await attacker.begin(phone.begin().url)))
  const mixedUp = await attacker.signIn(await attacker.begin(phone.begin().url))
  mixedUp.searchParams.set('iss', 'https://evil.example.com')
  await attacker.open(mixedUp)
  const denied = await attacker.signIn(await attacker.begin(phone.begin().url))
  denied.searchParams.delete('code')
  denied.searchParams.set('error', 'access_denied')
  denied.searchParams.set('error_description', 'no\r\nthanks')
  redirectOf(await attacker.open(denied))
  await send(phone.begin({ code_challenge: secret() }).url)
  await send(phone.begin({ client_id: 'unknown' }).url)
}

/** Bytes that no client library would send, with credentials in every place. */
async function malformed({ stack, phone, wireAnswers }: Started): Promise<void> {
  const { access_token: token } = await phone.login()
  const host = `Host: 127.0.0.1:${stack.port}`
  const bearer = `Authorization: Bearer ${token}`
  for (const bytes of [
    `GET /api/orders HTTP/1.1\r\n${host}\r\n${bearer}\r\nbroken line\r\n\r\n`,
    `GET /api/orders HTTP/1.1\r\n${host}\r\n${bearer}\r\n${bearer}\r\n\r\n`,
    `GET /api/orders?access_token=${token} HTTP/9.9\r\n${host}\r\n\r\n`,
    `GET http://127.0.0.1/api?token=${token} HTTP/1.1\r\n${host}\r\n${bearer}\r\n\r\n`,
    `GET /api/%zz?token=${token} HTTP/1.1\r\n${host}\r\n${bearer}\r\n\r\n`,
    `POST /oauth2/token HTTP/1.1\r\n${host}\r\n${bearer}\r\nContent-Length: 20000\r\n\r\ncode=${token}`,
    `POST /oauth2/token HTTP/1.1\r\n${host}\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nzz\r\ncode=${token}`,
    `GET /api/orders HTTP/1.1\r\n${host}\r\n${bearer}\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`,
    `TOKEN-${token} /api HTTP/1.1\r\n${host}\r\n\r\n`,
  ]) {
    const { headerLines, body } = await exchange(stack.port, bytes)
    wireAnswers.push(`${headerLines.join('\n')}\n${body}`)
  }
  // One that leaves in mid-request, and one that leaves before its answer.
  const leaving = new WireClient(stack.port)
  leaving.send(
    `POST /oauth2/token HTTP/1.1\r\n${host}\r\n${bearer}\r\nContent-Length: 50\r\n\r\ncode=${token}`,
  )
  leaving.socket.end()
  await leaving.untilClose()
}

async function failures({ stack, store, phone, office }: Started): Promise<void> {
  const { provider } = stack
  const answers = [
    [500, { error: 'server_error', access_token: secret() }],
    [400, { error: secret(), error_description: secret() }],
    [200, { access_token: secret(), token_type: 'mac', refresh_token: secret() }],
    [200, { access_token: secret(), token_type: 'Bearer', id_token: `${secret()}.${secret()}.${secret()}` }],
    [200, secret()],
  ] as const
  for (const [status, body] of answers) {
    const good = await phone.code()
    const stop = provider.onRequest((request, response) => {
      if (request.url !== '/token') return undefined
      response.writeHead(status, { 'content-type': 'application/json', 'x-secret': secret() })
      response.end(JSON.stringify(body))
      return true
    })
    await phone.redeem(good)
    stop()
    await phone.login()
  }
  const hung = await phone.code()
  const stop = provider.onRequest((request) => request.url === '/token')
  await phone.redeem(hung)
  stop()

  const live = await office.login()
  for (const path of ['/malformed/x', '/refused/x']) {
    await office.call(live.access_token, path, { method: 'POST', body: secret() })
  }
  const unseen = await office.login()
  const good = await phone.code()
  const begun = phone.begin()
  store.fail()
  await office.call(unseen.access_token)
  await phone.redeem(good)
  await phone.refresh(live.refresh_token)
  await office.revoke(live.refresh_token)
  await send(begun.url)
  store.heal()
  store.fail('replace', 2)
  await phone.redeem(await phone.code())
  store.heal()
}

/** A bug, in a store or in ours: an error of no known kind, which carries what it was working on. */
async function crashes({ crash, stack, phone }: Started): Promise<void> {
  const live = await phone.login()
  const good = await phone.code()
  crash.with = Object.assign(new TypeError('a bug', { cause: new Error(live.access_token) }), {
    headers: { authorization: `Bearer ${live.access_token}` },
    body: `code=${good.code}`,
    args: [good.verifier],
  })
  await phone.call(live.access_token)
  await phone.redeem(good)
  await phone.refresh(live.refresh_token)
  await send(`${stack.publicUrl}/oauth2/callback?state=pks_${good.code.slice(4)}&code=${secret()}`)
  crash.with = undefined
}

/** Answers of the gateway that are errors, as text. */
function errorAnswers({ port }: GatewayStack): Exchange[] {
  return traffic.filter((one) => one.port === port && one.status >= 400)
}

t.test('the listening ear hears, and the search finds (this test can fail)', async (t) => {
  const credential = secret() + secret()
  for (const spelling of [
    credential,
    Buffer.from(credential).toString('hex'),
    Buffer.from(credential).toString('base64'),
    `…${credential.slice(3, 40)}…`,
    `"url":"/x?code=${encodeURIComponent(credential)}"`,
  ]) {
    t.same(leaks(`{"msg":"${spelling}"}`, [credential]), [credential])
  }
  t.same(leaks(secret() + secret(), [credential]), [])
})

for (const tokens of ['opaque', 'relay'] as const) {
  t.test(`nothing of any credential is in a log line or an error answer, tokens: ${tokens}`, async (t) => {
    const started = await start(t, tokens)
    const { stack } = started
    // Twice each: that a thing happens again is told in other words in places.
    const parts = [journeys, attacks, malformed, failures]
    for (const part of [...parts, ...parts, crashes]) await part(started)

    const credentials = new Set([...credentialsIn(traffic), ...Object.values(CONFIGURED)])
    const kinds = { handle: /^pk[arcs]_/, jwt: /^eyJ.*\..*\./, provider: /^[\w-]{43}$/ }
    for (const [kind, pattern] of Object.entries(kinds)) {
      const count = [...credentials].filter((credential) => pattern.test(credential)).length
      t.ok(count >= 10, `${count} credentials like a ${kind} have occurred`)
    }
    const lines = stack.log().split('\n').length
    t.ok(lines > 200, `and there is a log of ${lines} lines`)
    t.same(leaks(stack.log(), credentials), [])
    t.same(leaks(started.wireAnswers.join('\n'), credentials), [])
    t.match(stack.log(), /"message":"a bug"/, 'the crash has been logged')
    t.match(stack.log(), /"reason":"answer_malformed"/, 'and the upstream that answered nonsense')
    const selectors = [...credentials].filter((one) => kinds.handle.test(one)).map((one) => one.slice(4, 25))
    const named = selectors.filter((selector) => stack.log().includes(selector))
    t.same(named, [], 'a grant is named by a short hash (J-01)')

    const errors = errorAnswers(stack)
    t.ok(errors.length > 30, `${errors.length} error answers`)
    for (const { method, path, status, answer, answerHeaders } of errors) {
      t.same(
        leaks(`${answer}\n${JSON.stringify(answerHeaders)}`, credentials),
        [],
        `${method} ${path} ${status}`,
      )
    }
    t.notMatch(stack.log(), /"level":60/, 'nothing fatal')
    for (const line of stack.log().trimEnd().split('\n')) JSON.parse(line)
  })
}
