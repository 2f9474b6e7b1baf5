import { readFileSync } from 'node:fs'
import t from 'tap'
import { eventsOf, loggedIn } from '../../support/logged-in.ts'
import { type PluginApp, startPluginApp } from '../../support/plugin-app.ts'
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

const openid = { provider: { scope: 'openid' } }

const lineOf = (plugin: PluginApp, event: string) =>
  plugin
    .log()
    .split('\n')
    .filter((line) => line.includes('"event"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .find((line) => line.event === event)!

t.test('a listener hears who it was; the log has only what joins its lines (J-04)', async (t) => {
  const plugin = await loggedIn(t, openid)
  const { grantId, subject, clientId } = plugin.events[0]!
  t.match({ grantId, subject, clientId }, { grantId: /^[\w-]{22}$/, subject: 'alice', clientId: 'app' })
  t.equal(await plugin.app.pkce.endSession({ grantId: grantId! }), 1, 'and can end the session')
  t.match(plugin.events.at(-1), { event: 'session.ended', grantId, subject, reason: 'administrator' })
  t.notMatch(plugin.log(), grantId)
  t.notMatch(plugin.log(), /alice/)
})

t.test('each event of a session names it: refresh, reuse, replay, revocation (J-04)', async (t) => {
  const plugin = await loggedIn(t, openid)
  const { grantId } = plugin.events[0]!
  const { refresh_token: first } = plugin.tokens
  const second = (await plugin.refresh(first)).json()
  await plugin.app.inject({ url: '/resource', headers: { authorization: `Bearer ${second.access_token}` } })
  plugin.store.advance(60)
  await plugin.refresh((await plugin.refresh(second.refresh_token)).json().refresh_token)
  await plugin.refresh(first)
  t.ok(eventsOf(plugin).includes('refresh.reuse'))
  for (const event of plugin.events)
    t.match(event, { grantId, clientId: 'app', subject: 'alice' }, event.event)
})

t.test('a scope that is lacking is denied to somebody; a wrong token to nobody (J-04)', async (t) => {
  const plugin = await loggedIn(t, openid, (app) => {
    app.get('/admin', { onRequest: app.pkce.requireSession({ scopes: ['admin'] }) }, () => 'never')
  })
  const ask = (token: string) =>
    plugin.app.inject({ url: '/admin', headers: { authorization: `Bearer ${token}` } })
  t.equal((await ask(plugin.tokens.access_token)).statusCode, 403)
  t.match(plugin.events.at(-1), { event: 'forward.denied', subject: 'alice', clientId: 'app' })
  t.equal((await ask('unknown')).statusCode, 401)
  t.equal(plugin.events.at(-1)?.subject, undefined)
})

t.test('log.subject: a hash that nobody can guess, the subject itself, or nothing (J-04)', async (t) => {
  const logged = async (
    subject?: 'hash' | 'plain' | 'none',
    secret = 'c2VydmVyLXNlY3JldC1vZi0zMi1ieXRlcy1hdC1sZWFzdC4',
  ) => {
    const plugin = await loggedIn(t, { ...openid, secrets: [secret], ...(subject && { log: { subject } }) })
    return lineOf(plugin, 'session.activated').subject
  }
  const hashed = await logged()
  t.match(hashed, /^[0-9a-f]{8}$/)
  t.equal(await logged('hash'), hashed, 'the same in every process that has the secret')
  t.not(await logged('hash', 'YW5vdGhlci1zZWNyZXQtb2YtMzItYnl0ZXMtYXQtbGVhc3Q'), hashed)
  t.equal(await logged('plain'), 'alice')
  t.equal(await logged('none'), undefined)
})

t.test('the request id has one name, once in a line (Q-01)', async (t) => {
  const plugin = await loggedIn(t, {}, undefined)
  const twice = (line: string) => line.split('"requestId":').length > 2
  t.notOk(plugin.log().split('\n').some(twice))
  const app = await startPluginApp(t, {}, { fastify: { requestIdLogLabel: 'requestId' } })
  await app.login()
  t.notOk(app.log().split('\n').some(twice), 'nor where the app calls it so itself')
  t.match(lineOf(app, 'session.activated'), { requestId: String })
})

t.test('what somebody should look at says where its reason is explained', async (t) => {
  const plugin = await loggedIn(t, openid)
  const second = (await plugin.refresh(plugin.tokens.refresh_token)).json()
  await plugin.app.inject({ url: '/resource', headers: { authorization: `Bearer ${second.access_token}` } })
  plugin.store.advance(60)
  await plugin.refresh((await plugin.refresh(second.refresh_token)).json().refresh_token)
  await plugin.refresh(plugin.tokens.refresh_token)
  plugin.store.fail()
  await plugin.refresh(plugin.tokens.refresh_token)
  const lines = plugin
    .log()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const replay = lines.find(({ event }) => event === 'refresh.reuse')
  t.match(replay.help, /\/docs\/errors\.md#refresh_reused$/)
  const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')
  t.ok(page.includes('<a id="refresh_reused"></a>'), 'the anchor is there')
  t.notOk('help' in lines.find(({ event }) => event === 'session.activated'), 'no alarm, no link')
})
