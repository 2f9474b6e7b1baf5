import { connect } from 'node:net'
import fastify from 'fastify'
import t from 'tap'
import pkce, { logSerializers, OAuthError, ProviderError, StoreError } from '../../../plugin/index.ts'
import { REDIRECT_URI, startPluginApp, VERIFIER } from '../../support/plugin-app.ts'
import { FORM, listen, overHttp } from '../../support/plugin-over-http.ts'

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
          .end('{"error":"provider secret words","access_token":7}')
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
    t.notMatch(log, /provider.secret.words|access_token|refresh_token|code_verifier=/)
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
    raw: { url: `/${'a/'.repeat(150)}?code=secret` },
    headers: { cookie: 'secret' },
  }
  t.same(logSerializers.req(request as never), {
    method: 'GET',
    path: `/${'a/'.repeat(150)}`.slice(0, 256),
    remoteAddress: '10.0.0.1',
  })
  const path = (url: string) => logSerializers.req({ raw: { url } } as never).path
  t.equal(path('/x#code=secret'), '/x')
  t.equal(path('/x%3Fcode=secret'), '/x', 'somebody has encoded the ? too')
  t.equal(path('/x%253Fcode=secret'), '/x')
  t.equal(path('/x;code=secret'), '/x')
  t.equal(path(`/x/pka_${'s'.repeat(64)}/y%20z`), '/x/*/y%20z', 'a credential in the place of a name')
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
