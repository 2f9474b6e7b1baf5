import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { startPluginApp, testStore } from '../support/plugin-app.ts'
import { startStubProvider } from '../support/stub-provider.ts'
import { until } from '../support/wait.ts'

const WELL_KNOWN = '/.well-known/openid-configuration'

/** From now on the clock of ages is ahead by so much. */
function passes(t: Test, ms: number): void {
  const { now } = performance
  t.intercept(performance, 'now', { value: () => now.call(performance) + ms })
}

t.test('the token endpoint moves: logins again within a minute (M-06)', async (t) => {
  const plugin = await startPluginApp(t)
  const { provider } = plugin
  const { code } = await plugin.code()
  passes(t, 60_000)
  provider.moveToken('/v2/token')
  const response = await plugin.redeem(code)
  t.equal(response.statusCode, 502, 'it was sent, so it is lost')
  await until(() => plugin.log().includes('"changed":["token_endpoint"]'))
  await plugin.login()
  t.equal(provider.count('/token'), 1)
  t.equal(provider.count('/v2/token'), 1)
  t.equal(provider.count(WELL_KNOWN), 2)
})

t.test('a login that meets missing metadata does not wait for the next try (M-06)', async (t) => {
  const provider = await startStubProvider()
  t.teardown(() => provider.close())
  const back = await provider.leave()
  const plugin = await startPluginApp(t, {}, { provider })
  t.match(await plugin.app.pkce.readiness(), { provider: /metadata/ })
  const refused = await plugin.authorize()
  t.match(refused.response.headers.location, /error=temporarily_unavailable/)
  t.equal(plugin.store.calls.create, undefined, 'nothing is stored for it')

  await back()
  passes(t, 1000)
  const logins = await Promise.all([plugin.authorize(), plugin.authorize()])
  for (const { location } of logins) t.match(location, `${provider.issuer}/authorize?`)
  t.match(await plugin.app.pkce.readiness(), { provider: null })
})

t.test('nor does a code at an instance that began in the outage (M-06, C-17)', async (t) => {
  const shared = { store: testStore(), secrets: [randomBytes(32).toString('base64url')] }
  const before = await startPluginApp(t, shared)
  const { provider } = before
  const { code } = await before.code()
  const session = await before.login()
  const back = await provider.leave()
  const plugin = await startPluginApp(t, shared, { provider })
  await back()
  t.equal((await plugin.redeem(code)).statusCode, 200)
  t.equal((await plugin.refresh(session.refresh_token)).statusCode, 200)
})
