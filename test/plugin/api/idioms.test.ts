import fastifySwagger from '@fastify/swagger'
import fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { testSession } from '../../../plugin/api/testing.ts'
import pkce, { type PkceOptions } from '../../../plugin/index.ts'
import { PUBLIC_URL, startPluginApp } from '../../support/plugin-app.ts'
import { least } from '../../support/plugin-options.ts'
import { startStubProvider } from '../../support/stub-provider.ts'

/** What a team writes, and what it gets. */
async function open(t: Test, write: (app: FastifyInstance) => unknown = () => {}) {
  const provider = await startStubProvider()
  const app = fastify()
  t.teardown(async () => {
    await app.close()
    await provider.close()
  })
  await write(app)
  await app.register(pkce, {
    ...{ ...least(), publicUrl: PUBLIC_URL, rateLimit: false },
    provider: { issuer: provider.issuer, clientId: 'gateway', clientSecret: 'secret', scope: 'api' },
    clients: [{ ...least().clients[0]!, scopes: ['orders.read'] }],
  } as PkceOptions)
  return app
}

t.test("a hook of the whole app protects everything but the plugin's own routes", async (t) => {
  const plugin = await startPluginApp(
    t,
    {},
    {
      after: (app) => {
        app.addHook('onRequest', app.pkce.requireSession())
        app.get('/orders', async (request) => ({ subject: request.pkceSession.subject }))
        app.get('/forged', { config: { pkceErrors: 'page' } }, async () => 'open')
      },
    },
  )
  const tokens = await plugin.login()
  const authorization = `Bearer ${tokens.access_token}`
  t.equal((await plugin.app.inject('/orders')).statusCode, 401)
  t.equal((await plugin.app.inject('/forged')).statusCode, 401)
  t.equal((await plugin.app.inject('/nowhere')).statusCode, 401, 'nor does it tell what there is')
  t.equal((await plugin.app.inject({ url: '/orders', headers: { authorization } })).statusCode, 200)
  t.equal((await plugin.refresh(tokens.refresh_token)).statusCode, 200)
  t.equal((await plugin.app.inject('/.well-known/oauth-authorization-server')).statusCode, 200)
  t.equal((await plugin.app.inject('/oauth2/jwks')).statusCode, 200)
  t.equal((await plugin.app.inject('/oauth2/userinfo')).statusCode, 401, 'by its own check')
})

t.test('a hook of a scope protects that part of the app', async (t) => {
  const app = await open(t)
  await app.register(async (api) => {
    api.addHook('onRequest', app.pkce.requireSession({ scopes: ['orders.read'] }))
    api.get('/orders', async (request) => ({ subject: request.pkceSession.subject }))
  })
  app.get('/health', async () => 'ok')
  const { authorization } = await testSession(app)
  t.equal((await app.inject('/health')).statusCode, 200)
  t.equal((await app.inject('/orders')).statusCode, 401)
  t.equal((await app.inject({ url: '/orders', headers: { authorization } })).statusCode, 200)
})

t.test('a route says in the OpenAPI document what it requires', async (t) => {
  const app = await open(t, (app) =>
    app.register(fastifySwagger, {
      openapi: { components: { securitySchemes: { own: { type: 'http', scheme: 'basic' } } } },
    }),
  )
  const requireSession = app.pkce.requireSession({ scopes: ['orders.read'] })
  app.get('/orders', { onRequest: requireSession, schema: { summary: 'Orders' } }, async () => [])
  app.get('/list', { onRequest: [requireSession] }, async () => [])
  app.get('/own', { onRequest: requireSession, schema: { security: [] } as object }, async () => [])
  app.get('/health', async () => 'ok')
  await app.ready()
  const { paths = {}, components } = app.swagger() as {
    paths?: Record<string, { get?: object }>
    components?: object
  }
  t.match(paths['/orders']?.get, { summary: 'Orders', security: [{ pkce: ['orders.read'] }] })
  t.match(paths['/list']?.get, { security: [{ pkce: ['orders.read'] }] })
  t.match(paths['/own']?.get, { security: [] })
  t.notOk('security' in (paths['/health']?.get ?? {}))
  t.match(components, {
    securitySchemes: {
      own: { type: 'http' },
      pkce: { openIdConnectUrl: `${PUBLIC_URL}/.well-known/openid-configuration` },
    },
  })
})

t.test('no document, a later one, and one of OpenAPI 2', async (t) => {
  const late = await open(t)
  await late.register(fastifySwagger, { openapi: {} })
  late.get('/orders', { onRequest: late.pkce.requireSession() }, async () => [])
  await late.ready()
  t.notMatch(JSON.stringify(late.swagger()), 'security', 'which would lack the scheme')

  const old = await open(t, (app) => app.register(fastifySwagger, { swagger: {} }))
  old.get('/orders', { onRequest: old.pkce.requireSession() }, async () => [])
  await old.ready()
  const { paths, securityDefinitions } = old.swagger() as { paths?: object; securityDefinitions?: object }
  t.match(paths, { '/orders': { get: { security: [{ pkce: [] }] } } })
  t.match(securityDefinitions, { pkce: { type: 'oauth2', tokenUrl: `${PUBLIC_URL}/oauth2/token` } })
})

t.test('each wrong turn gets one message that says what to write', async (t) => {
  const register = async (change: object, app: FastifyInstance = fastify()) => {
    t.teardown(() => app.close())
    await app.register(pkce, { ...least(), ...change })
    return app
  }
  await t.rejects(register({ prefix: '/auth' }), /\n {2}prefix: .* write routePrefix/)
  for (const store of ['redis', { type: 'redis', url: 'redis://127.0.0.1' }, { get() {}, set() {} }]) {
    await t.rejects(
      register({ store }),
      /\n {2}store: must be a store.*redisStore\(\{ client: app\.redis \}\)/,
    )
  }
  const app = await open(t)
  await t.rejects(register({}, app), /has fastify-pkce already: .*providers: \{/)
  const inScope = async () => {
    await app.register(async (child) => {
      await child.register(pkce, least())
    })
  }
  await t.rejects(inScope(), /has fastify-pkce already/)
})
