import t from 'tap'
import { eventsOf, loggedIn } from '../../support/logged-in.ts'
import { startPluginApp } from '../../support/plugin-app.ts'

t.test('a grant is ended without a handle, by its id or by its subject (G-04)', async (t) => {
  t.test('endSession and sessionsOf', async (t) => {
    const plugin = await startPluginApp(t, { provider: { scope: 'openid' } })
    const alices = [await plugin.login(), await plugin.login({ client_id: 'other' })]
    plugin.provider.claims = { sub: 'bob' }
    const bob = await plugin.login()
    const sessions = await plugin.app.pkce.sessionsOf('alice')
    t.equal(sessions.length, 2)
    t.same(new Set(sessions.map(({ clientId }) => clientId)), new Set(['app', 'other']))
    t.match(sessions[0], {
      subject: 'alice',
      grantId: /^[A-Za-z0-9_-]{22}$/,
      scope: ['orders.read', 'orders.write'],
      createdAt: Number,
      expiresAt: Number,
    })
    t.notMatch(JSON.stringify(sessions), /provider-|sealed|key/)

    t.equal(await plugin.app.pkce.endSession({ grantId: sessions[0]!.grantId }), 1)
    t.equal(await plugin.app.pkce.endSession({ grantId: sessions[0]!.grantId }), 0, 'once')
    t.equal(await plugin.app.pkce.endSession({ subject: 'alice' }), 1)
    t.equal(await plugin.app.pkce.endSession({ subject: 'nobody' }), 0)
    t.equal(await plugin.app.pkce.endSession({ grantId: '../../x' }), 0)
    for (const { access_token } of alices) t.equal((await plugin.call(access_token)).statusCode, 401)
    t.equal((await plugin.call(bob.access_token)).statusCode, 200)
    t.same(await plugin.app.pkce.sessionsOf('alice'), [])
    t.equal(plugin.provider.count('/revoke'), 0, 'the provider is not called: nobody holds a handle')
    t.same(eventsOf(plugin).filter((event) => event === 'session.ended').length, 2)
  })

  t.test(
    'from a line of the log to the session: endSession({ grant }) takes its eight digits (J-04)',
    async (t) => {
      const plugin = await startPluginApp(t, { provider: { scope: 'openid' } })
      const { pkce } = plugin.app
      const [mine, other] = [await plugin.login(), await plugin.login()]
      const line = plugin.events.find(({ event }) => event === 'session.activated')!
      const grant = String(line.grant)
      t.match(plugin.log(), `"grant":"${grant}"`)
      const [called, ...more] = await pkce.sessionsOf({ grant })
      t.same([called?.grant, more], [grant, []])
      t.same(
        (await pkce.sessionsOf('alice')).map((session) => session.grant === grant),
        (await pkce.sessionsOf('alice')).map(({ grantId }) => grantId === called?.grantId),
      )

      t.equal(await pkce.endSession({ grant }), 1)
      t.equal(await pkce.endSession({ grant }), 0, 'once')
      t.equal((await plugin.call(mine.access_token)).statusCode, 401)
      t.equal((await plugin.call(other.access_token)).statusCode, 200)
      t.same(await pkce.sessionsOf({ grant }), [])
      for (const wrong of [
        '',
        '1234567',
        called!.grantId,
        `${grant}\n`,
        grant.toUpperCase().padEnd(9, 'A'),
      ]) {
        await t.rejects(pkce.endSession({ grant: wrong }), {
          name: 'TypeError',
          message: /8 hexadecimal digits/,
        })
      }
    },
  )

  t.test('two sessions that the log calls alike: none is ended by guess', async (t) => {
    const plugin = await startPluginApp(t, { provider: { scope: 'openid' } })
    const { pkce } = plugin.app
    await plugin.login()
    const [{ grantId, grant }] = (await pkce.sessionsOf('alice')) as unknown as [
      { grantId: string; grant: string },
    ]
    // The same record under its own id a second time in the answer: what a namesake looks like to the caller.
    const { readIndex } = plugin.store
    plugin.store.readIndex = async (index) => {
      const ids = await readIndex.call(plugin.store, index)
      return index.startsWith('correlation:') ? [...ids, ...ids] : ids
    }
    await t.rejects(pkce.endSession({ grant }), {
      name: 'TypeError',
      message: new RegExp(`2 sessions.*${grantId}`),
    })
    t.equal((await pkce.sessionsOf('alice')).length, 1)
  })

  t.test('a subject is data: it cannot name another index (G-14)', async (t) => {
    const plugin = await startPluginApp(t, { provider: { scope: 'openid' } })
    plugin.provider.claims = { sub: 'a","b' }
    await plugin.login()
    t.equal((await plugin.app.pkce.sessionsOf('a')).length, 0)
    t.equal((await plugin.app.pkce.sessionsOf('a","b')).length, 1)
    t.ok(
      plugin.store.touched.every(
        (call) => !call.includes('subject:') || /subject:[\w-]{43}(?![\w-])/.test(call),
      ),
      'no claim is part of a key',
    )
  })

  t.test('a grant that has ended leaves the index of its subject', async (t) => {
    const plugin = await loggedIn(t, { provider: { scope: 'openid' } })
    const { grantId } = (await plugin.app.pkce.sessionsOf('alice'))[0]!
    await plugin.post('revoke', { client_id: 'app', token: plugin.tokens.refresh_token })
    t.equal(plugin.store.calls.removeFromIndex, 1)
    plugin.store.touched.length = 0
    await plugin.app.pkce.sessionsOf('alice')
    t.notOk(plugin.store.touched.some((call) => call.includes(`grant:${grantId}`)))
  })

  t.test('a store that fails at the index after the end does not fail the logout', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.fail('removeFromIndex')
    t.equal(
      (await plugin.post('revoke', { client_id: 'app', token: plugin.tokens.refresh_token })).statusCode,
      200,
    )
    t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401)
  })
})
