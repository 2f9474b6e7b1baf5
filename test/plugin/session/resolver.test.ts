import t from 'tap'
import { eventsOf, grantIdOf, INVALID_TOKEN, loggedIn } from '../../support/logged-in.ts'
import { startPluginApp, type Tokens } from '../../support/plugin-app.ts'
import { deferred, until } from '../../support/wait.ts'

const secretOf = (byte: number) => Buffer.alloc(32, byte).toString('base64url')

t.test('an outage of the store is a 503, never "not signed in" (G-08)', async (t) => {
  const plugin = await loggedIn(t)
  plugin.store.fail()
  const cold = await plugin.call(plugin.tokens.access_token)
  t.equal(cold.statusCode, 503)
  t.equal(cold.headers['retry-after'], '5')
  t.equal(cold.headers['www-authenticate'], undefined)
  t.same(
    eventsOf(plugin).filter((event) => event === 'store.unavailable'),
    ['store.unavailable'],
  )

  plugin.store.heal()
  await plugin.call(plugin.tokens.access_token)
  plugin.store.fail()
  t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 200, 'warm, and the channel stands')
  plugin.store.gap()
  t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 503, 'warm no more')
})

t.test(
  'an end that may or may not have been written -> 503 from then on, not the cached session (G-17)',
  async (t) => {
    const plugin = await loggedIn(t)
    const { access_token } = plugin.tokens
    t.equal((await plugin.call(access_token)).statusCode, 200)
    plugin.store.fail('replace', 1)
    const revoked = await plugin.post('revoke', { client_id: 'app', token: access_token })
    t.equal(revoked.statusCode, 503)
    plugin.store.fail()
    t.equal((await plugin.call(access_token)).statusCode, 503)
    plugin.store.heal()
    t.equal((await plugin.call(access_token)).statusCode, 200, 'it had not been written')
  },
)

t.test('rows that are corrupt -> 401, not 500 (G-15)', async (t) => {
  const rows: [string, (record: Record<string, unknown>) => unknown][] = [
    ['no JSON', () => '{'],
    ['another version', (record) => JSON.stringify({ ...record, v: 2 })],
    ['sealed text that is garbage', (record) => JSON.stringify({ ...record, sealed: 'garbage' })],
    ['an empty sealed text', (record) => JSON.stringify({ ...record, sealed: '' })],
    [
      'a key that is garbage',
      (record) =>
        JSON.stringify({ ...record, accessTokens: [{ ...(record.accessTokens as object[])[0], key: 'x' }] }),
    ],
    ['no subject', ({ subject: _, ...record }) => JSON.stringify(record)],
    [
      'a prototype for a claim',
      (record) => JSON.stringify(record).replace('"claims":{}', '"__proto__":{"claims":{}}'),
    ],
  ]
  for (const [name, edit] of rows) {
    t.test(name, async (t) => {
      const plugin = await loggedIn(t)
      const grantId = (await grantIdOf(plugin))!
      const stored = (await plugin.store.read(`grant:${grantId}`))!
      const text = edit(JSON.parse(stored.value) as Record<string, unknown>) as string
      await plugin.store.replace(`grant:${grantId}`, stored.version, text, 60_000)
      t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401)
    })
  }
})

t.test('relay mode: only tokens that were issued through an exchange here are sessions', async (t) => {
  const plugin = await loggedIn(t, { tokens: 'relay' })
  t.equal(plugin.tokens.access_token, 'provider-access-1')
  plugin.store.countCalls()
  t.match((await plugin.call('provider-access-1')).json(), { authorization: 'Bearer provider-access-1' })
  t.equal(plugin.store.countCalls(), 2, 'cold: the index and the grant')
  await plugin.call('provider-access-1')
  t.equal(plugin.store.countCalls(), 0)
  t.equal((await plugin.call('provider-access-elsewhere')).statusCode, 401)
  t.equal((await plugin.call(plugin.tokens.refresh_token)).statusCode, 401)
  await plugin.post('revoke', { client_id: 'app', token: 'provider-access-1' })
  t.equal((await plugin.call('provider-access-1')).statusCode, 401)
})

t.test(
  'server secrets are rotated without losing a session, and a lost one costs no crash (G-05)',
  async (t) => {
    const [old, fresh] = [secretOf(1), secretOf(2)]
    const plugin = await loggedIn(t, { secrets: [old] })
    const restart = (secrets: string[]) =>
      startPluginApp(t, { secrets, store: plugin.store }, { provider: plugin.provider })

    const rotated = await restart([fresh, old])
    t.equal((await rotated.call(plugin.tokens.access_token)).statusCode, 200, 'the old one opens')
    const { code } = await plugin.code()
    t.equal((await rotated.redeem(code)).statusCode, 200, 'codes too')
    const next = (await rotated.refresh(plugin.tokens.refresh_token)).json() as Tokens

    const retired = await restart([fresh])
    t.equal((await retired.call(next.access_token)).statusCode, 200, 'a refresh has wrapped it anew')
    const again = await retired.refresh(next.refresh_token)
    t.equal(again.statusCode, 200)

    const lost = await restart([secretOf(3)])
    const refusal = await lost.call((again.json() as Tokens).access_token)
    t.equal(refusal.statusCode, 401)
    t.equal(refusal.headers['www-authenticate'], INVALID_TOKEN)
    const refresh = await lost.refresh((again.json() as Tokens).refresh_token)
    t.equal(refresh.statusCode, 400)
    t.match(refresh.json(), { error: 'invalid_grant' })
    const { code: unreadable } = await retired.code()
    t.match((await lost.redeem(unreadable)).json(), { error: 'invalid_grant' })
    t.same(
      lost.events.filter(({ event }) => event === 'session.unreadable').map(({ reason }) => reason),
      ['token_sealed', 'grant_unreadable', 'grant_unreadable'],
      'somebody is told',
    )
    t.match(lost.log(), /"level":40[^\n]*session.unreadable/)
    t.equal((await retired.redeem(unreadable)).statusCode, 200, 'and nothing was ended by it')
  },
)

t.test('a request that was let in before a logout may finish; the next may not', async (t) => {
  const { promise, resolve } = deferred()
  let inside = false
  const plugin = await loggedIn(t, {}, (app) => {
    app.get('/slow', { onRequest: app.pkce.requireSession() }, async () => {
      inside = true
      await promise
      return {}
    })
  })
  const headers = { authorization: `Bearer ${plugin.tokens.access_token}` }
  const first = plugin.app.inject({ url: '/slow', headers })
  await until(() => inside)
  await plugin.post('revoke', { client_id: 'app', token: plugin.tokens.access_token })
  t.equal((await plugin.app.inject({ url: '/slow', headers })).statusCode, 401)
  resolve()
  t.equal((await first).statusCode, 200)
})
