import { request as httpRequest, type OutgoingHttpHeaders } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import fastify from 'fastify'
import t, { type Test } from 'tap'
import { RateWindows } from '../../../plugin/http/rate-windows.ts'
import pkce, { logSerializers, OAuthError, ProviderError, StoreError } from '../../../plugin/index.ts'
import { bearerToken } from '../../../plugin/oauth/bearer.ts'
import { parseAuthorizationResponse } from '../../../plugin/oauth/callback.ts'
import { assertFormMediaType, parseForm } from '../../../plugin/oauth/form.ts'
import { isCodeChallenge, isCodeVerifier } from '../../../plugin/oauth/pkce.ts'
import { redirectUriMatches, redirectUriProblem } from '../../../plugin/oauth/redirect-uri.ts'
import { parseScope } from '../../../plugin/oauth/scope.ts'
import { parseHandle } from '../../../plugin/secrets/handles.ts'
import {
  CHALLENGE,
  type PluginApp,
  REDIRECT_URI,
  startPluginApp,
  VERIFIER,
} from '../../support/plugin-app.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const authorizeUrl = `/oauth2/authorize?${new URLSearchParams({
  client_id: 'app',
  redirect_uri: REDIRECT_URI,
  response_type: 'code',
  code_challenge: CHALLENGE,
  code_challenge_method: 'S256',
  state: 'app-state',
})}`

/** A request over a real socket. */
function overHttp(
  port: number,
  path: string,
  { method = 'GET', headers = {} as OutgoingHttpHeaders, body = '' } = {},
): Promise<{ status: number; headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    httpRequest({ port, host: '127.0.0.1', path, method, headers, agent: false }, (response) => {
      response.resume()
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers }))
    })
      .on('error', reject)
      .end(body)
  })
}

async function listen({ app }: PluginApp): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}

t.test('limits by address (J-05, J-07, J-08)', async (t) => {
  const limited = (t: Test, trustProxy?: string[]) =>
    startPluginApp(
      t,
      { rateLimit: { authorize: { max: 3, windowMs: 60_000 }, token: { max: 4, windowMs: 30_000 } } },
      { fastify: trustProxy ? { trustProxy } : {} },
    )
  const statuses = async (count: number, ask: (index: number) => Promise<{ statusCode: number }>) => {
    const seen: number[] = []
    for (let index = 0; index < count; index++) seen.push((await ask(index)).statusCode)
    return seen
  }

  await t.test(
    'authorize and callback share one limit; above it 429, Retry-After, no-store, nothing read (J-05, J-07)',
    async (t) => {
      const plugin = await limited(t)
      const authorized = await plugin.authorize()
      await plugin.callback(authorized)
      t.equal((await plugin.authorize()).response.statusCode, 302)
      plugin.store.countCalls()
      for (const response of [(await plugin.authorize()).response, await plugin.callback(authorized)]) {
        t.equal(response.statusCode, 429)
        t.match(response.headers['content-type'], 'text/html')
        t.match(response.body, 'Too many requests')
        t.equal(response.headers['cache-control'], 'no-store')
        const seconds = Number(response.headers['retry-after'])
        t.ok(seconds > 50 && seconds <= 60, `${seconds} s`)
      }
      t.equal(plugin.store.countCalls(), 0)
      t.equal((await plugin.post('token', {})).statusCode, 400, 'the other limit is another')
    },
  )

  await t.test(
    'token, revoke, introspect and userinfo share one, before the body and the store (J-05, J-07)',
    async (t) => {
      const plugin = await limited(t)
      const { access_token } = await plugin.login()
      t.equal((await plugin.post('revoke', { client_id: 'app', token: 'x' })).statusCode, 200)
      t.equal((await plugin.post('introspect', { token: 'x' })).statusCode, 401)
      t.equal(
        (
          await plugin.app.inject({
            url: '/oauth2/userinfo',
            headers: { authorization: `Bearer ${access_token}` },
          })
        ).statusCode,
        200,
      )
      plugin.store.countCalls()
      const asked = plugin.provider.requests.length
      for (const response of [
        await plugin.redeem('x'),
        await plugin.refresh('x'),
        await plugin.post('token', { code: 'a'.repeat(17_000) }),
        await plugin.app.inject({ method: 'POST', url: '/oauth2/token', payload: { a: 1 } }),
        await plugin.app.inject({ method: 'POST', url: '/oauth2/token?code=x', headers: FORM }),
        await plugin.post('revoke', { client_id: 'app', token: access_token }),
        await plugin.post('introspect', {}),
        await plugin.app.inject({
          url: '/oauth2/userinfo',
          headers: { authorization: `Bearer ${access_token}` },
        }),
      ]) {
        t.equal(response.statusCode, 429)
        t.same(response.json(), {
          error: 'temporarily_unavailable',
          error_description: 'Too many requests. Try again later.',
        })
        t.ok(Number(response.headers['retry-after']) <= 30)
        t.equal(response.headers['cache-control'], 'no-store')
      }
      t.equal(plugin.store.countCalls(), 0)
      t.equal(plugin.provider.requests.length, asked)
      t.equal((await plugin.call(access_token)).statusCode, 200, "the app's own routes are not limited")
    },
  )

  await t.test('a flood costs the store no more than the limit (J-07)', async (t) => {
    const plugin = await limited(t)
    await statuses(100, async () => (await plugin.authorize()).response)
    await statuses(100, () => plugin.refresh(`pkr_${'A'.repeat(64)}`))
    t.equal(plugin.store.calls.create, 3)
    t.equal(plugin.store.calls.read, 4)
  })

  await t.test('of many at once those within the limit pass (J-05)', async (t) => {
    const plugin = await limited(t)
    const burst = await Promise.all(Array.from({ length: 50 }, () => plugin.authorize()))
    const passed = burst.filter(({ response }) => response.statusCode === 302)
    t.equal(passed.length, 3)
    t.equal(plugin.store.calls.create, 3)
  })

  await t.test('a window ends, and the next one begins with the next request (J-05)', async (t) => {
    const plugin = await startPluginApp(t, { rateLimit: { authorize: { max: 1, windowMs: 400 } } })
    const { now } = performance
    let passedMs = 0
    t.intercept(performance, 'now', { value: () => now.call(performance) + passedMs })
    t.same(await statuses(2, () => plugin.app.inject(authorizeUrl)), [302, 429])
    passedMs = 400
    t.same(await statuses(2, () => plugin.app.inject(authorizeUrl)), [302, 429])
  })

  await t.test('a window lasts as long where the clock of the host is set back', async (t) => {
    let nowMs = 1000
    const windows = new RateWindows('token', undefined, () => nowMs)
    t.same(await count(windows), { current: 1, ttl: 60_000 })
    t.intercept(Date, 'now', { value: () => 0 })
    nowMs += 59_999.5
    t.same(await count(windows), { current: 2, ttl: 1 })
    nowMs += 1
    t.same(await count(windows), { current: 1, ttl: 60_000 })
  })

  await t.test('an address counts once, whichever way a trusted proxy writes it (J-05, J-08)', async (t) => {
    const plugin = await startPluginApp(
      t,
      { rateLimit: { authorize: { max: 2, windowMs: 60_000 } } },
      { fastify: { trustProxy: ['127.0.0.1'] } },
    )
    const from = (forwarded: string) =>
      plugin.app.inject({ url: authorizeUrl, headers: { 'x-forwarded-for': forwarded } })
    t.same(await statuses(3, (index) => from(`203.0.113.7:${5000 + index}`)), [302, 302, 429])
    t.equal((await from('203.0.113.7')).statusCode, 429)
    t.same(await statuses(3, (index) => from(`[2001:db8::${index}]:443`)), [302, 302, 429])
    t.same(await statuses(3, (index) => from(`no address ${index}`)), [302, 302, 429], 'one for all of these')
  })

  await t.test('metadata, jwks and wrong methods are not counted', async (t) => {
    const plugin = await limited(t)
    for (let index = 0; index < 10; index++) {
      t.equal((await plugin.app.inject('/.well-known/openid-configuration')).statusCode, 200)
      t.equal((await plugin.app.inject({ method: 'HEAD', url: authorizeUrl })).statusCode, 405)
    }
    t.equal((await plugin.authorize()).response.statusCode, 302)
  })

  await t.test('an IPv6 subscriber counts once, by the /64 (J-05)', async (t) => {
    const plugin = await limited(t)
    const from = (remoteAddress: string) => plugin.app.inject({ url: authorizeUrl, remoteAddress })
    t.same(await statuses(5, (index) => from(`2001:db8:1:2:${index}::${index}`)), [302, 302, 302, 429, 429])
    t.equal((await from('2001:db8:1:3::1')).statusCode, 302)
    t.same(
      await statuses(4, (index) => from(index % 2 ? '10.0.0.9' : '::ffff:10.0.0.9')),
      [302, 302, 302, 429],
    )
  })

  await t.test('without trustProxy nobody chooses an address of his own (J-08)', async (t) => {
    const plugin = await limited(t)
    const spoof = (index: number) =>
      plugin.app.inject({
        url: authorizeUrl,
        headers: {
          'x-forwarded-for': `203.0.113.${index}`,
          'x-real-ip': `203.0.113.${index}`,
          forwarded: `for=203.0.113.${index}`,
          'cf-connecting-ip': `203.0.113.${index}`,
        },
      })
    t.same(await statuses(5, spoof), [302, 302, 302, 429, 429])
    t.notMatch(plugin.log(), '203.0.113')
  })

  await t.test(
    'with a list the header counts from those peers, and only what they have added (J-08)',
    async (t) => {
      const plugin = await limited(t, ['10.0.0.1', '10.1.0.0/16'])
      const from = (remoteAddress: string, forwarded: string) =>
        plugin.app.inject({ url: authorizeUrl, remoteAddress, headers: { 'x-forwarded-for': forwarded } })
      t.same(await statuses(4, () => from('10.0.0.1', '198.51.100.1')), [302, 302, 302, 429])
      t.equal((await from('10.0.0.1', '198.51.100.2')).statusCode, 302, 'another client')
      t.equal(
        (await from('10.0.0.1', 'evil, 198.51.100.1')).statusCode,
        429,
        'what the client sent itself does not help',
      )
      t.equal((await from('10.0.0.1', '198.51.100.1, 10.1.2.3')).statusCode, 429, 'two proxies')
      t.same(
        await statuses(4, (index) => from('192.0.2.7', `198.51.100.${90 + index}`)),
        [302, 302, 302, 429],
        'not a proxy of ours',
      )
      t.ok((await from('10.0.0.1', '<garbage>')).statusCode < 500)
    },
  )

  await t.test('false switches it off, with a warning', async (t) => {
    const plugin = await startPluginApp(t, { rateLimit: false })
    t.same([...new Set(await statuses(80, () => plugin.app.inject(authorizeUrl)))], [302])
    t.match(plugin.log(), 'rateLimit is false')
  })

  await t.test('the defaults: 30 and 60 a minute', async (t) => {
    const plugin = await startPluginApp(t, { rateLimit: {} })
    const authorizes = await statuses(31, () => plugin.app.inject(authorizeUrl))
    t.same([authorizes.indexOf(429), authorizes.length], [30, 31])
    const tokens = await statuses(61, () => plugin.post('token', {}))
    t.equal(tokens.indexOf(429), 60)
  })
})

t.test('sizes (K-01, K-03)', async (t) => {
  const plugin = await startPluginApp(t, { rateLimit: false })
  const port = await listen(plugin)
  plugin.store.countCalls()

  await t.test(
    'a body of 16 KiB is read, one more byte is 413, announced or in chunks (K-01, C-03)',
    async (t) => {
      const body = `pad=${'a'.repeat(16 * 1024 - 4)}`
      for (const [headers, more, status] of [
        [{ 'content-length': body.length }, '', 400],
        [{ 'content-length': body.length + 1 }, 'a', 413],
        [{ 'transfer-encoding': 'chunked' }, 'a', 413],
      ] as const) {
        const response = await overHttp(port, '/oauth2/token', {
          method: 'POST',
          headers: { ...FORM, ...headers },
          body: body + more,
        })
        t.equal(response.status, status)
        t.equal(response.headers['cache-control'], 'no-store')
      }
    },
  )

  await t.test('a URL of more than 8 KiB is 414, wherever it goes (K-01)', async (t) => {
    for (const path of [
      '/oauth2/authorize',
      '/oauth2/callback',
      '/oauth2/userinfo',
      '/.well-known/openid-configuration',
    ]) {
      t.equal((await overHttp(port, `${path}?x=${'a'.repeat(8192)}`)).status, 414, path)
    }
    t.equal(
      (await overHttp(port, `/oauth2/token?x=${'a'.repeat(8192)}`, { method: 'POST', headers: FORM })).status,
      414,
    )
    t.equal((await overHttp(port, `/.well-known/openid-configuration?x=${'a'.repeat(8000)}`)).status, 200)
  })

  await t.test(
    'headers of more than 16 KiB are 431, a bearer token of more than 8 KiB 400 (K-01, K-03)',
    async (t) => {
      const bearer = (length: number) => ({ authorization: `Bearer ${'a'.repeat(length)}` })
      t.equal((await overHttp(port, '/oauth2/userinfo', { headers: bearer(9000) })).status, 400)
      t.equal((await overHttp(port, '/oauth2/userinfo', { headers: bearer(17_000) })).status, 431)
    },
  )
  t.equal(plugin.store.countCalls(), 0, 'none of these asked the store')
})

t.test('every check is linear: 100 KiB of anything takes no time (CWE-1333, K-02)', async (t) => {
  const size = 100 * 1024
  const silent = (check: (text: string) => unknown) => (text: string) => {
    try {
      check(text)
    } catch {
      // A refusal is as good as an answer here.
    }
  }
  const checks: Record<string, (text: string) => unknown> = {
    parseForm: (text) => parseForm(text),
    formName: (text) => parseForm(`${text}=1&${text}=2`),
    mediaType: (text) => assertFormMediaType(`application/x-www-form-urlencoded${text}`),
    redirectUriProblem,
    httpsProblem: (text) => redirectUriProblem(`https://${text}`),
    schemeProblem: (text) => redirectUriProblem(`a${text}:/`),
    redirectUriMatches: (text) => redirectUriMatches('http://127.0.0.1/x', `http://127.0.0.1:1/${text}`),
    parseScope,
    codeVerifier: isCodeVerifier,
    codeChallenge: isCodeChallenge,
    handle: (text) => parseHandle('state', text),
    callback: (text) => parseAuthorizationResponse(`state=pks_${'A'.repeat(64)}&error=${text}`),
    bearer: (text) => bearerToken(['Authorization', `Bearer ${text}`], `/?${text}`),
  }
  const patterns = [
    'a',
    ' ',
    '.',
    '%',
    '%41',
    '&',
    '=',
    'a.',
    '-a',
    '+',
    ';',
    ' \t',
    'access_token',
    '/',
    '..',
    'ü',
  ].map((piece) => piece.repeat(Math.ceil(size / piece.length)))
  for (const [name, check] of Object.entries(checks)) {
    let slowest = 0
    for (const text of patterns) {
      const start = process.cpuUsage()
      silent(check)(text)
      silent(check)(`${text}\n`)
      slowest = Math.max(slowest, process.cpuUsage(start).user / 1000)
    }
    // Quadratic would be seconds; the slack is for a slow machine.
    t.ok(slowest < 150, `${name}: ${slowest.toFixed(1)} ms`)
  }
})

t.test('nothing secret is logged, at trace level, on any walk (RFC 9700 §4.2, J-01, J-02)', async (t) => {
  const plugin = await startPluginApp(t, {
    provider: { scope: 'openid api', clientSecret: 'provider-client-secret' },
    secrets: ['c2VydmVyLXNlY3JldC1vZi0zMi1ieXRlcy1hdC1sZWFzdC4'],
    resourceServers: [{ clientId: 'api', clientSecret: 'resource-server-secret' }],
    clients: [
      { clientId: 'app', redirectUris: [REDIRECT_URI], scopes: ['orders.read', 'orders.write'] },
      {
        clientId: 'web',
        redirectUris: [REDIRECT_URI],
        authentication: 'client_secret_basic',
        clientSecret: 'web-client-secret',
        scopes: ['orders.read'],
      },
    ],
  })
  const { provider, store, app } = plugin
  const secrets = new Set<string>([
    'provider-client-secret',
    'web-client-secret',
    'resource-server-secret',
    'app-state',
    VERIFIER,
    'c2VydmVyLXNlY3JldC1vZi0zMi1ieXRlcy1hdC1sZWFzdC4',
    'provider-code',
  ])
  const keep = (...values: (string | null | undefined)[]) => {
    for (const value of values) if (value) secrets.add(value)
  }
  const port = await listen(plugin)

  let nonce = ''
  let issued = 0
  provider.behave.token = async (request, response) => {
    keep(request.form.get('code_verifier'), request.form.get('code'), request.headers.authorization?.slice(6))
    issued++
    const answer = {
      access_token: `provider-access-token-${issued}`,
      refresh_token: `provider-refresh-token-${issued}`,
      token_type: 'Bearer',
      expires_in: 3600,
      id_token: await provider.idToken(nonce ? { nonce } : {}),
    }
    keep(answer.access_token, answer.refresh_token, answer.id_token, answer.id_token.split('.')[2])
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  }
  const begin = async (parameters = {}) => {
    const authorized = await plugin.authorize(parameters)
    nonce = new URL(authorized.location).searchParams.get('nonce') ?? ''
    keep(authorized.state, authorized.state.slice(26), authorized.cookie.split('=')[1], nonce)
    return authorized
  }
  const finish = async (authorized: Awaited<ReturnType<typeof begin>>, query = {}) => {
    const response = await plugin.callback(authorized, query)
    const code = new URL(String(response.headers.location ?? 'x:')).searchParams.get('code')
    keep(code, code?.slice(26))
    return code ?? ''
  }

  await t.test('a login, a call, a refresh, an introspection, an end', async (t) => {
    const tokens = (await plugin.redeem(await finish(await begin()))).json()
    keep(tokens.access_token, tokens.refresh_token)
    t.equal((await plugin.call(tokens.access_token)).statusCode, 200)
    store.advance(3500)
    const next = (await plugin.refresh(tokens.refresh_token)).json()
    keep(next.access_token, next.refresh_token)
    const basic = Buffer.from('api:resource-server-secret').toString('base64')
    keep(basic)
    await plugin.post('introspect', { token: next.access_token }, { authorization: `Basic ${basic}` })
    await app.inject({ url: '/oauth2/userinfo', headers: { authorization: `Bearer ${next.access_token}` } })
    await plugin.post('revoke', { client_id: 'app', token: next.refresh_token })
    t.equal((await plugin.call(next.access_token)).statusCode, 401)
  })

  await t.test('every way to fail', async () => {
    await plugin.authorize({ state: 'app-state\u0000' })
    await plugin.authorize({ redirect_uri: 'https://evil.example/?code=app-state' })
    await finish(await begin(), { error: 'access_denied' })
    const stolen = await begin()
    await plugin.callback(stolen, {}, 'pkce-x=1')
    await plugin.callback(await begin(), { iss: 'https://evil.example' })
    const code = await finish(await begin())
    await plugin.redeem(code, { code_verifier: 'w'.repeat(43) })
    await plugin.redeem(code)
    const wrongSecret = Buffer.from('web:wrong-client-secret').toString('base64')
    keep(wrongSecret, 'wrong-client-secret')
    await plugin.post(
      'token',
      { grant_type: 'refresh_token', refresh_token: `pkr_${'B'.repeat(64)}` },
      { authorization: `Basic ${wrongSecret}` },
    )
    keep(`pkr_${'B'.repeat(64)}`)
    for (const operation of ['create', 'read', 'replace'] as const) {
      const authorized = await begin()
      store.fail(operation)
      await plugin.authorize()
      await plugin.callback(authorized)
      store.heal()
    }
    for (const broken of [500, 200, 400]) {
      provider.behave.token = (request, response) => {
        keep(request.form.get('code_verifier'))
        response
          .writeHead(broken, { 'content-type': 'application/json' })
          .end('{"error":"provider-secret-words","access_token":7}')
      }
      await plugin.redeem(await finish(await begin()))
    }
    provider.behave.token = (_request, response) => response.destroy()
    await plugin.redeem(await finish(await begin()))
    await overHttp(port, `/oauth2/callback?state=${stolen.state}&code=provider-code`, {
      headers: {
        cookie: stolen.cookie,
        authorization: 'Bearer provider-code',
        referer: 'https://x/?code=app-state',
      },
    })
    await overHttp(port, `/oauth2/callback?state=${stolen.state}#app-state`)
    await overHttp(port, `/oauth2/token?code=${code}`, {
      method: 'POST',
      headers: FORM,
      body: `code=${code}`,
    })
    await overHttp(port, '/oauth2/token', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code }),
    })
    await app.inject({ method: 'HEAD', url: `/oauth2/callback?state=${stolen.state}` })
  })

  await t.test('the log holds none of the credentials that occurred', async (t) => {
    const log = plugin.log()
    t.ok(secrets.size > 40, `${secrets.size} credentials`)
    t.ok(log.split('\n').length > 60, 'there is a log')
    for (const secret of secrets) {
      for (const spelling of new Set([
        secret,
        encodeURIComponent(secret),
        Buffer.from(secret).toString('base64'),
      ])) {
        const line = log.split('\n').find((candidate) => candidate.includes(spelling))
        t.equal(line, undefined, `${secret.slice(0, 12)}…`)
      }
    }
    t.notMatch(log, /[?&](code|state|iss|error)=/)
    t.notMatch(log, /provider-secret-words|access_token|refresh_token|code_verifier=/)
  })

  await t.test(
    'one line for each event, which names path, address and grant, and no more (J-02)',
    async (t) => {
      const lines = plugin
        .log()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
      const requests = lines.flatMap(({ req }) => (req ? [req as Record<string, unknown>] : []))
      const ours = requests.filter(({ path }) => String(path ?? '').startsWith('/oauth2'))
      t.ok(ours.length > 30)
      for (const req of ours) t.same(new Set(Object.keys(req)), new Set(['method', 'path', 'remoteAddress']))
      for (const line of lines.filter(({ grant }) => grant !== undefined))
        t.match(line.grant, /^[0-9a-f]{8}$/)
    },
  )

  await t.test('each attack is its own audit event (J-04)', async (t) => {
    const seen = new Set(plugin.events.map(({ event }) => event))
    for (const event of [
      'authorize.refused',
      'callback.refused',
      'callback.browser_mismatch',
      'callback.iss_mismatch',
      'code.verifier_mismatch',
      'client.auth_failed',
      'session.activated',
      'session.ended',
      'store.unavailable',
      'provider.error',
    ] as const) {
      t.ok(seen.has(event), event)
    }
  })
})

t.test('whoever writes into the log writes one line of JSON (CWE-117, J-03)', async (t) => {
  const plugin = await startPluginApp(t)
  const port = await listen(plugin)
  const before = plugin.log().split('\n').length
  const socket = connect(port, '127.0.0.1')
  const evil = '\\n{"level":60,"msg":"forged"}\u2028%0d%0a%00'
  socket.end(
    Buffer.from(
      `GET /oauth2/callback/%0d%0a%7b${'A'.repeat(2000)}?x HTTP/1.1\r\nHost: a\r\nUser-Agent: ${evil}\r\nX-Request-Id: ${evil}\r\n\r\n` +
        `GET /oauth2/authorize?client_id=${evil.replaceAll(' ', '')} HTTP/1.1\r\nHost: ${evil}\r\nUser-Agent: ${evil}\r\nConnection: close\r\n\r\n`,
      'latin1',
    ),
  )
  await new Promise((resolve) => socket.resume().on('close', resolve))
  const lines = plugin
    .log()
    .trimEnd()
    .split('\n')
    .slice(before - 1)
  t.ok(lines.length >= 2)
  for (const line of lines) {
    const entry = JSON.parse(line) as { level: number; msg: string; req?: { path?: string } }
    t.ok(entry.level < 60)
    t.not(entry.msg, 'forged')
    t.ok(line.length < 4000)
  }
})

t.test(
  'a scope of the app with serializers of its own does not make the routes log a URL (J-02)',
  async (t) => {
    const lines: string[] = []
    const stream = { write: (line: string) => lines.push(line) }
    const serializers = logSerializers as unknown as Record<string, () => string>
    const app = fastify({ logger: { serializers, stream } })
    t.teardown(() => app.close())
    const leaky = { req: ({ url }: { url: string }) => url }
    await app.register(
      async (scope) => {
        await scope.register(pkce, {
          publicUrl: 'https://api.example.com',
          provider: { issuer: 'https://login.example.com', clientId: 'gateway', clientSecret: 'secret' },
          clients: [{ clientId: 'app', name: 'App', redirectUris: [REDIRECT_URI], scopes: ['orders'] }],
        })
      },
      { logSerializers: leaky },
    )
    await app.inject('/oauth2/authorize?state=a-secret')
    t.ok(lines.some((line) => line.includes('incoming request')))
    t.notMatch(lines.join(''), 'a-secret')
  },
)

t.test('the serializers let named fields through and nothing else (J-02)', async (t) => {
  const request = {
    method: 'GET',
    ip: '10.0.0.1',
    raw: { url: `/${'a'.repeat(300)}?code=secret` },
    headers: { cookie: 'secret' },
  }
  t.same(logSerializers.req(request as never), {
    method: 'GET',
    path: `/${'a'.repeat(255)}`,
    remoteAddress: '10.0.0.1',
  })
  t.equal(logSerializers.req({ raw: { url: '/x#code=secret' } } as never).path, '/x')
  const cause = Object.assign(new Error('secret cause'), {
    code: 'ECONNREFUSED',
    body: 'secret',
    headers: { a: 'secret' },
  })
  const error = Object.assign(new Error('message', { cause }), {
    code: 'X',
    statusCode: 502,
    body: 'secret',
    request: { headers: 'secret' },
  })
  t.same(logSerializers.err(error), {
    type: 'Error',
    message: 'message',
    code: 'X',
    statusCode: 502,
    cause: { type: 'Error', code: 'ECONNREFUSED' },
  })
  for (const thrown of ['secret', { message: 'secret' }, null, undefined]) {
    t.same(logSerializers.err(thrown), { message: 'not an Error' })
  }
  t.notMatch(logSerializers.req({ raw: { url: 'http://user:secret@h/x' } } as never), 'secret')
  // What we say ourselves is safe, and an operator needs it.
  const provider = new ProviderError('provider_answer_invalid', 'token', {
    cause: new Error('status 200, not a JSON object'),
  })
  t.match(logSerializers.err(provider), {
    endpoint: 'token',
    cause: { message: 'status 200, not a JSON object' },
  })
  const store = new OAuthError('store_unavailable', {
    cause: new StoreError('redis', 'read', 'timed out', cause),
  })
  t.match(logSerializers.err(store), { cause: { message: 'redis store: read: timed out' } })
  t.notMatch(JSON.stringify(logSerializers.err(store)), 'secret')
})

t.test('a store that can count makes one limit of all instances; the higher count decides', async (t) => {
  const windows = new RateWindows('token', { count: async () => ({ count: 7, ttlMs: 4000 }) })
  t.same(await count(windows), { current: 7, ttl: 4000 })
  const behind = new RateWindows('token', { count: async () => ({ count: 0, ttlMs: 4000 }) })
  t.match(await count(behind), { current: 1 })
})

t.test('without the shared count each instance keeps its own limit, at once (G-08)', async (t) => {
  const broken = new RateWindows('token', { count: () => Promise.reject(new Error('down')) })
  t.match(await count(broken), { current: 1 })
  t.match(await count(broken), { current: 2 })
  const foreign = new RateWindows('token', { count: () => 5 as unknown as Promise<never> })
  t.match(await count(foreign), { current: 1 }, "a custom store's count may be another thing")
  const throwing = new RateWindows('token', {
    count() {
      throw new TypeError('two arguments too many')
    },
  })
  t.match(await count(throwing), { current: 1 })
  const silent = new RateWindows('token', { count: () => new Promise(() => {}) })
  const startedAt = Date.now()
  t.match(await count(silent), { current: 1 })
  t.ok(Date.now() - startedAt < 5000)
})

function count(windows: RateWindows): Promise<unknown> {
  return new Promise((resolve, reject) => {
    windows.incr('192.0.2.1', (error, result) => (error ? reject(error) : resolve(result)), 60_000)
  })
}
