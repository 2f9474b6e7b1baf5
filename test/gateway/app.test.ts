import t from 'tap'
import { composeGateway, createServices } from '../../gateway/app.ts'
import { buildGateway, ConfigError, type GatewayInput, gatewayConfig } from '../../gateway/index.ts'
import { testLogin, testProvider } from '../../plugin/api/testing.ts'
import { memoryStore } from '../../plugin/index.ts'
import { secret, serve, values } from '../support/gateway-command.ts'

const quiet = { write: () => {} }
const input = (more: Partial<GatewayInput> = {}) => values({ log: { level: 'silent' }, ...more })

t.test('a gateway makes its store from the configuration, and closes it with itself', async (t) => {
  const app = await buildGateway(gatewayConfig(input()), { logStream: quiet })
  t.match(await app.pkce.readiness(), { store: null })
  await app.close()
  t.match(await app.pkce.readiness(), { store: /closed/ })
})

t.test('a store that a program brings along is used, and left open', async (t) => {
  const store = memoryStore()
  t.teardown(() => store.close())
  const app = await buildGateway(gatewayConfig(input()), { store, logStream: quiet })
  await app.close()
  t.equal(await store.create('key', 'value', 1000), true)
})

t.test('a gateway that is built in code takes onLogin: a file has no functions', async (t) => {
  const provider = await testProvider()
  t.teardown(() => provider.close())
  const asked: string[] = []
  const app = await buildGateway(gatewayConfig(input({ provider: provider.options })), {
    logStream: quiet,
    onLogin({ subject }) {
      asked.push(subject)
      return subject === 'mallory' ? { deny: 'blocked' } : { claims: { userId: 7 } }
    },
  })
  t.teardown(() => app.close())
  await testLogin(app)
  const [session] = await app.pkce.sessionsOf('alice')
  t.ok(session)
  provider.user = { sub: 'mallory' }
  await t.rejects(testLogin(app), { message: /access_denied/ })
  t.same(asked, ['alice', 'mallory'])
})

t.test('one configuration makes any number of gateways, each with a store of its own', async (t) => {
  const config = gatewayConfig(input())
  const [first, second] = await Promise.all([buildGateway(config), buildGateway(config)])
  t.teardown(() => second.close())
  await first.close()
  t.match(await second.pkce.readiness(), { store: null })
})

t.test('a gateway that cannot be built leaves nothing open', async (t) => {
  const issuer = await serve(t, (_request, response) => {
    response.setHeader('content-type', 'application/json').end('{"issuer":"https://other.example"}')
  })
  const config = gatewayConfig(input({ provider: { issuer, clientId: 'gateway', clientSecret: secret } }))
  const services = createServices(config)
  let closed = 0
  const store = {
    ...services.store,
    async close() {
      closed += 1
      await services.store.close()
    },
  }
  await t.rejects(composeGateway(config, { ...services, store }), ConfigError)
  t.equal(closed, 1)
})

t.test('the door gives the one class of a configuration that cannot be used', async (t) => {
  t.throws(() => gatewayConfig(input({ publicUrl: 'http://example.com' })), ConfigError)
})
