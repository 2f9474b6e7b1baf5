import t from 'tap'
import { eventsOf, loggedIn } from '../../support/logged-in.ts'
import { startPluginApp } from '../../support/plugin-app.ts'
import { until } from '../../support/wait.ts'

t.test('userinfo during an outage is audited once (J-04)', async (t) => {
  const plugin = await loggedIn(t)
  plugin.store.fail()
  const headers = { authorization: `Bearer ${plugin.tokens.access_token}` }
  t.equal((await plugin.app.inject({ url: '/oauth2/userinfo', headers })).statusCode, 503)
  t.same(eventsOf(plugin), ['session.activated', 'store.unavailable'])
})

t.test('an audit listener that throws does not fail the request', async (t) => {
  const plugin = await startPluginApp(t)
  const warned = new Promise((resolve) => process.once('warning', resolve))
  plugin.app.pkce.events.on('session.activated', () => {
    throw new Error('a bug of the listener')
  })
  t.match(await plugin.login(), { access_token: /^pka_/ })
  t.match(await warned, { message: /a bug of the listener/ })
})

t.test('an audit listener that rejects, or throws no error, fails nothing either', async (t) => {
  const plugin = await startPluginApp(t)
  const warned: string[] = []
  const onWarning = ({ message }: Error) => warned.push(message)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  plugin.app.pkce.events.on('session.activated', async () => {
    throw new Error('the database is down')
  })
  plugin.app.pkce.events.on('*', () => {
    throw undefined
  })
  t.match(await plugin.login(), { access_token: /^pka_/ })
  await until(() => warned.length === 2)
  t.match(warned.join(), /not an Error/)
  t.match(warned.join(), /the database is down/)
})

t.test('an audit event and its log line say the same, and the line names its time once', async (t) => {
  const plugin = await loggedIn(t)
  const event = plugin.events[0]!
  t.match(event, {
    event: 'session.activated',
    time: /^\d{4}-\d\d-\d\dT/,
    clientId: 'app',
    requestId: String,
    address: '127.0.0.1',
  })
  const line = plugin
    .log()
    .split('\n')
    .find((text) => text.includes('session.activated'))!
  t.match(JSON.parse(line), { event: 'session.activated', clientId: 'app', grant: event.grant })
  t.equal(line.split('"time":').length, 2)
})
