import formbody from '@fastify/formbody'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { type Surroundings, startPluginApp } from '../../support/plugin-app.ts'

/** An app that has its own opinion on everything, before the plugin comes. */
const opinionated: Surroundings = {
  fastify: {
    bodyLimit: 10,
    exposeHeadRoutes: true,
    ajv: {
      customOptions: { coerceTypes: 'array', removeAdditional: 'all', allErrors: true, useDefaults: true },
    },
    routerOptions: {
      querystringParser: (text) => ({ state: { length: text.length }, client_id: 7, code: ['x'] }),
    },
  },
  async before(app) {
    await app.register(formbody)
    await app.register(rateLimit, { max: 1000 })
    app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, { app: body }))
    app.setErrorHandler((_error, _request, reply) => reply.code(418).send({ app: 'error handler' }))
    app.setNotFoundHandler((_request, reply) => reply.code(404).send({ app: 'not found' }))
    // As compilers of another schema language do when they see ours.
    app.setValidatorCompiler(() => {
      throw new Error('the app validates otherwise')
    })
    app.setSerializerCompiler(() => {
      throw new Error('the app serializes otherwise')
    })
    app.setReplySerializer((answer) => JSON.stringify({ app: answer }))
    app.addHook('onRequest', async (request, reply) => {
      reply.headers({
        'access-control-allow-origin': '*',
        'access-control-allow-credentials': 'true',
        vary: 'Accept',
      })
      reply.raw.setHeader('Access-Control-Allow-Headers', '*')
      reply.headers({ 'cache-control': 'public, max-age=60', 'referrer-policy': 'unsafe-url' })
      if (request.method === 'OPTIONS') return reply.code(204).send()
      return undefined
    })
    app.addHook('onSend', async (_request, reply) => {
      reply.header('cache-control', 'public').header('x-content-type-options', 'sniff')
    })
  },
}

t.test("an app's own parsers, hooks, handlers and compilers change nothing at our endpoints", async (t) => {
  const client = {
    clientId: 'app',
    redirectUris: ['https://app.example.com/callback'],
    scopes: ['orders.read', 'orders.write'],
    allowedOrigins: ['https://spa.example.com'],
  }
  const [plain, odd] = await Promise.all([
    startPluginApp(t, { clients: [client] }),
    startPluginApp(t, { clients: [client] }, opinionated),
  ])

  /** What a client can tell apart, without what is new each time. */
  const seen = ({ statusCode, headers, body }: LightMyRequestResponse, provider: string) => {
    const kept = Object.entries(headers).filter(([name]) => !/^(date|vary|x-ratelimit-.*)$/.test(name))
    return JSON.stringify([statusCode, Object.fromEntries(kept.sort()), body])
      .replaceAll(provider, 'PROVIDER')
      .replace(/expires_in.{4}\d+/, 'expires_in')
      .replace(/pk[arcs]_[\w-]{64}|(?<=(pkce-|code_challenge=))[\w-]{22,43}|(?<==)[\w-]{43}(?=;)/g, 'NEW')
  }
  const both = async (what: string, ask: (plugin: typeof plain) => Promise<LightMyRequestResponse>) => {
    const [one, other] = [await ask(plain), await ask(odd)]
    t.equal(seen(other, odd.provider.issuer), seen(one, plain.provider.issuer), what)
    return one
  }
  const origin = 'https://spa.example.com'

  for (const { app } of [plain, odd]) t.equal((await app.inject('/oauth2/jwks')).body, '{"keys":[]}')
  await both('authorize', async (plugin) => (await plugin.authorize()).response)
  await both('authorize, refused', async (plugin) => (await plugin.authorize({ client_id: '7' })).response)
  await both('authorize, repeated', ({ app }) => app.inject('/oauth2/authorize?client_id=app&client_id=app'))
  await both('authorize, HEAD', ({ app }) => app.inject({ method: 'HEAD', url: '/oauth2/authorize' }))
  await both('authorize from a script', async (plugin) => (await plugin.authorize({}, { origin })).response)
  await both('callback', async (plugin) => plugin.callback(await plugin.authorize()))
  await both('callback, refused', ({ app }) => app.inject('/oauth2/callback?state=x'))
  await both('token', async (plugin) => plugin.redeem((await plugin.code()).code))
  await both('token, refused', (plugin) => plugin.redeem('x'))
  await both('token as JSON', ({ app }) =>
    app.inject({ method: 'POST', url: '/oauth2/token', payload: { grant_type: 'x' } }),
  )
  await both('token as text', ({ app }) =>
    app.inject({
      method: 'POST',
      url: '/oauth2/token',
      payload: 'a',
      headers: { 'content-type': 'text/plain' },
    }),
  )
  await both('token, repeated', ({ app }) =>
    app.inject({
      method: 'POST',
      url: '/oauth2/token',
      payload: 'code=a&code=b',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    }),
  )
  await both('token, too large', (plugin) => plugin.post('token', { code: 'a'.repeat(17_000) }))
  await both('token from a script', (plugin) => plugin.post('token', { client_id: 'app' }, { origin }))
  await both('token from another script', (plugin) =>
    plugin.post('token', {}, { origin: 'https://evil.example' }),
  )
  await both('refresh', async (plugin) => plugin.refresh((await plugin.login()).refresh_token))
  await both('revoke', async (plugin) =>
    plugin.post('revoke', { client_id: 'app', token: (await plugin.login()).access_token }),
  )
  await both('userinfo', async (plugin) => {
    const { access_token } = await plugin.login()
    const response = await plugin.app.inject({
      url: '/oauth2/userinfo',
      headers: { authorization: `Bearer ${access_token}` },
    })
    t.match(response.json(), { sub: /^grant:/ })
    return plugin.app.inject('/oauth2/userinfo')
  })
  await both('metadata', ({ app }) => app.inject('/.well-known/oauth-authorization-server'))

  await t.test("the app's CORS reaches none of our answers (C-22, A-22)", async (t) => {
    for (const url of [
      '/oauth2/authorize',
      '/oauth2/callback',
      '/oauth2/token',
      '/oauth2/introspect',
      '/.well-known/openid-configuration',
    ]) {
      for (const method of ['GET', 'OPTIONS'] as const) {
        const headers = { origin: 'https://evil.example', 'access-control-request-method': 'GET' }
        const response = await odd.app.inject({ url, method, headers })
        t.same(
          Object.keys(response.headers).filter((name) => name.startsWith('access-control')),
          [],
          `${method} ${url}`,
        )
        t.equal(response.headers['cache-control'], 'no-store')
      }
    }
    const headers = { origin, 'access-control-request-method': 'POST' }
    const preflight = await odd.app.inject({ url: '/oauth2/token', method: 'OPTIONS', headers })
    t.equal(preflight.headers['access-control-allow-origin'], origin)
    t.equal(
      preflight.headers['access-control-allow-headers'],
      'Authorization, Content-Type, DPoP, MCP-Protocol-Version, Traceparent, Tracestate',
    )
    t.equal(preflight.headers['access-control-allow-credentials'], undefined)
    t.equal(preflight.headers.vary, 'Accept, Origin')
  })
})

t.test("what the app's own hooks refuse is answered in our form, with their status (429, 503)", async (t) => {
  const thrown = (statusCode: number) => Object.assign(new Error('secret detail'), { statusCode })
  let error: Error | null = null
  const plugin = await startPluginApp(
    t,
    {},
    {
      before: (app) =>
        app.addHook('onRequest', async (_request, reply) => {
          if (error) {
            reply.header('retry-after', '77')
            throw error
          }
        }),
    },
  )
  for (const [statusCode, answered] of [
    [429, 429],
    [503, 503],
    [401, 400],
    [403, 400],
    [500, 500],
    [200, 500],
  ] as const) {
    error = thrown(statusCode)
    const response = await plugin.post('token', {})
    t.equal(response.statusCode, answered)
    t.match(response.json(), { error: String, error_description: String })
    t.notMatch(response.body, 'secret detail')
    t.equal(response.headers['retry-after'], '77', 'when to come back is for those to say who refuse')
    t.equal(response.headers['cache-control'], 'no-store')
  }
})

t.test('nothing of ours leaks into the app but app.pkce and request.pkceSession', async (t) => {
  const { app } = await startPluginApp(t)
  const echo = async (request: { body: unknown }) => ({ body: request.body })
  app.post('/echo', echo)
  app.post('/strict', { schema: { body: { type: 'object', properties: { n: { type: 'integer' } } } } }, echo)
  app.get('/broken', async () => {
    throw Object.assign(new Error('mine'), { statusCode: 409 })
  })

  t.same((await app.inject({ method: 'POST', url: '/echo', payload: { a: [1] } })).json(), {
    body: { a: [1] },
  })
  const text = await app.inject({
    method: 'POST',
    url: '/echo',
    payload: 'hi',
    headers: { 'content-type': 'text/plain' },
  })
  t.same(text.json(), { body: 'hi' })
  t.equal(
    (await app.inject({ method: 'POST', url: '/strict', payload: { n: '7' } })).json().body.n,
    7,
    'ajv coerces',
  )
  const form = await app.inject({
    method: 'POST',
    url: '/echo',
    payload: 'a=1',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  t.equal(form.statusCode, 415, 'forms are ours alone')
  t.match((await app.inject('/broken')).json(), { statusCode: 409, message: 'mine' })
  t.match((await app.inject('/nothing')).json(), { statusCode: 404, message: String })
  const head = await app.inject({ method: 'HEAD', url: '/broken' })
  t.equal(head.statusCode, 409)
  for (const response of [text, form, head]) {
    for (const name of ['cache-control', 'pragma', 'x-ratelimit-limit', 'referrer-policy']) {
      t.equal(response.headers[name], undefined)
    }
  }
  for (const name of ['rateLimit', 'createRateLimit']) t.notOk(app.hasDecorator(name))
  t.notOk(app.hasContentTypeParser('application/x-www-form-urlencoded'))
  t.equal(
    await app
      .inject({
        method: 'POST',
        url: '/echo',
        payload: 'x'.repeat(100_000),
        headers: { 'content-type': 'text/plain' },
      })
      .then((r) => r.statusCode),
    200,
  )
})

t.test('@fastify/swagger finds every endpoint, each operation under one name', async (t) => {
  const plugin = await startPluginApp(
    t,
    {},
    {
      before: (app: FastifyInstance) =>
        app.register(swagger, { openapi: { info: { title: 'app', version: '1' } } }),
    },
  )
  await plugin.app.ready()
  const document = plugin.app.swagger() as unknown as {
    paths: Record<
      string,
      Record<
        string,
        {
          operationId: string
          tags: string[]
          summary: string
          responses: object
          requestBody?: { content: Record<string, { schema: { properties: object } }> }
          parameters?: { name: string; required?: boolean }[]
        }
      >
    >
  }
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
  )
  const ours = operations.filter(({ path }) => path !== '/protected')
  t.same(
    new Set(ours.map(({ method, path, operationId }) => `${method} ${path} ${operationId}`)),
    new Set([
      'get /.well-known/oauth-authorization-server authorizationServerMetadata',
      'get /.well-known/openid-configuration openidConfiguration',
      'get /oauth2/authorize authorize',
      'get /oauth2/callback callback',
      'get /oauth2/jwks jwks',
      'get /oauth2/userinfo userinfo',
      'post /oauth2/userinfo userinfoPost',
      'post /oauth2/introspect introspect',
      'post /oauth2/par par',
      'get /oauth2/sessions sessions',
      'delete /oauth2/sessions/{id} endSession',
      'post /oauth2/revoke revoke',
      'post /oauth2/token token',
    ]),
  )
  t.equal(new Set(ours.map(({ operationId }) => operationId)).size, ours.length)
  for (const { tags, summary } of ours) {
    t.same(tags, ['oauth2'])
    t.ok(summary)
  }
  const token = document.paths['/oauth2/token']!.post!
  t.same(Object.keys(token.requestBody!.content), ['application/x-www-form-urlencoded'])
  t.ok('code_verifier' in token.requestBody!.content['application/x-www-form-urlencoded']!.schema.properties)
  t.ok(document.paths['/oauth2/authorize']!.get!.parameters!.some(({ name }) => name === 'code_challenge'))
  t.same(Object.keys(token.responses), ['200', '4XX', '5XX'])
})
