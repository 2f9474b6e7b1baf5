import t from 'tap'
import { relayedTokenIndex } from '../../../plugin/grant/indexes.ts'
import { hashCredential } from '../../../plugin/secrets/handles.ts'
import { INVALID_TOKEN } from '../../support/logged-in.ts'
import { type PluginApp, REDIRECT_URI, startPluginApp } from '../../support/plugin-app.ts'
import { SHARED, sessionOf, startSharingApp, type ToldSession } from '../../support/relayed-tokens.ts'
import { revoke } from '../../support/revoke-requests.ts'
import { until } from '../../support/wait.ts'

const authenticate = async ({ app }: PluginApp) =>
  app.pkce.authenticate({
    id: '1',
    ip: '127.0.0.1',
    log: app.log,
    raw: { rawHeaders: ['authorization', `Bearer ${SHARED}`] },
  })

t.test('a request gets the scopes that all grants of its token share (H-04)', async (t) => {
  const plugin = await startSharingApp(t)
  await plugin.login()
  t.match(await sessionOf(plugin), { clientId: 'app', scope: /^orders\.read orders\.write$/ })
  const second = await plugin.login({ client_id: 'other' })
  t.match(
    await sessionOf(plugin),
    { clientId: 'app', subject: 'alice', scope: /^orders\.read$/ },
    'at once: a session kept in memory is not used',
  )
  plugin.store.countCalls()
  await sessionOf(plugin)
  t.equal(plugin.store.countCalls(), 0, 'kept in memory as any other')

  await revoke(plugin, second.refresh_token, { client_id: 'other' })
  t.match(await sessionOf(plugin), { scope: /^orders\.read orders\.write$/ }, 'at once, too')
})

t.test('the first grant is the one that was activated first, whatever the index says (H-04)', async (t) => {
  const plugin = await startSharingApp(t)
  await plugin.login()
  const { grantId } = (await sessionOf(plugin)) as ToldSession
  plugin.store.advance(1)
  await plugin.login({ client_id: 'other' })
  const index = relayedTokenIndex(hashCredential(SHARED))
  for (const member of await plugin.store.readIndex(index)) {
    await plugin.store.removeFromIndex([index], member)
    await plugin.store.addToIndex([index], member, 60_000)
    plugin.store.advance(6)
    t.match(await sessionOf(plugin), { grantId, clientId: 'app' })
  }
})

t.test('a grant that is no longer live does not hide the next one (H-04)', async (t) => {
  t.test('ended: every instance goes on with the other one', async (t) => {
    const plugin = await startSharingApp(t)
    const first = await plugin.login()
    await plugin.login({ client_id: 'other' })
    await sessionOf(plugin)
    await revoke(plugin, first.refresh_token)
    t.match(await sessionOf(plugin), { clientId: 'other' })
  })

  t.test('expired: and the life of the session is that of its own grant', async (t) => {
    const plugin = await startSharingApp(t)
    plugin.answer.expires_in = 60
    await plugin.login()
    plugin.answer.expires_in = 3600
    await plugin.login({ client_id: 'other' })
    t.match(await sessionOf(plugin), { clientId: 'app', left: 60 })
    plugin.store.advance(61)
    t.match(await sessionOf(plugin), { clientId: 'other', left: 3539 })
    plugin.store.advance(3600)
    t.equal(await sessionOf(plugin), 401)
  })

  t.test('of a disabled client: neither its session nor its scopes count', async (t) => {
    const secrets = [Buffer.alloc(32, 1).toString('base64url')]
    const plugin = await startSharingApp(t, { secrets })
    await plugin.login({ client_id: 'other' })
    await plugin.login()
    t.match(await sessionOf(plugin), { clientId: 'other', scope: /^orders\.read$/ })
    const clients = [
      { clientId: 'other', redirectUris: [REDIRECT_URI], scopes: ['orders.read'], enabled: false },
      { clientId: 'app', redirectUris: [REDIRECT_URI], scopes: ['orders.read', 'orders.write'] },
    ]
    const { store, provider } = plugin
    const restarted = await startPluginApp(t, { tokens: 'relay', secrets, store, clients }, { provider })
    const session = await authenticate(restarted)
    t.match(session, { clientId: 'app' })
    t.same(session.scope, ['orders.read', 'orders.write'])
  })

  t.test('a store that cannot read one of them -> 503, never the scopes of the rest (G-08)', async (t) => {
    const plugin = await startSharingApp(t)
    await plugin.login()
    await plugin.login({ client_id: 'other' })
    for (const nth of [1, 2]) {
      plugin.store.fail('read', nth)
      t.equal(await sessionOf(plugin), 503)
    }
    t.match(await sessionOf(plugin), { scope: /^orders\.read$/ })
  })
})

t.test('one token, two subjects: 401 for both, and somebody is told (H-04)', async (t) => {
  const plugin = await startSharingApp(t)
  await plugin.login()
  const { grantId } = (await sessionOf(plugin)) as ToldSession
  const bob = await plugin.login()
  // The exchange refuses this; whatever else may lead to it is refused here.
  const { value, version } = (await plugin.store.read(`grant:${grantId}`))!
  await plugin.store.replace(`grant:${grantId}`, version, value.replace(/"alice"/, '"mallory"'), 60_000)
  const refusal = await plugin.call(SHARED)
  t.equal(refusal.statusCode, 401)
  t.equal(refusal.headers['www-authenticate'], INVALID_TOKEN)
  t.match(
    plugin.events.filter(({ reason }) => reason === 'token_subject_mismatch').map(({ event }) => event),
    ['session.unreadable', 'forward.denied'],
  )
  t.match(plugin.log(), /"level":40[^\n]*token_subject_mismatch/)

  await revoke(plugin, bob.refresh_token)
  t.match(await sessionOf(plugin), { subject: 'mallory' }, 'until one of them is over')
})

t.test('logins without an identity share a token, and nobody is another subject (H-04, F-17)', async (t) => {
  const plugin = await startSharingApp(t)
  plugin.answer.sub = undefined
  await plugin.login()
  const first = await sessionOf(plugin)
  await plugin.login({ client_id: 'other' })
  t.match(await sessionOf(plugin), {
    subject: (first as { subject: string }).subject,
    scope: /^orders\.read$/,
  })
})

t.test(
  'a stream ends with the grant of its session, and the next one begins with the other (H-30)',
  async (t) => {
    const plugin = await startSharingApp(t)
    const first = await plugin.login()
    const second = await plugin.login({ client_id: 'other' })
    let ends = 0
    plugin.app.pkce.onSessionEnd(await authenticate(plugin), () => ends++)
    await revoke(plugin, second.refresh_token, { client_id: 'other' })
    t.match(await sessionOf(plugin), { clientId: 'app' })
    t.equal(ends, 0, 'not its own')
    const third = await plugin.login({ client_id: 'other' })
    await revoke(plugin, first.refresh_token)
    await until(() => ends === 1)
    plugin.app.pkce.onSessionEnd(await authenticate(plugin), () => ends++)
    await revoke(plugin, third.refresh_token, { client_id: 'other' })
    await until(() => ends === 2)
  },
)
