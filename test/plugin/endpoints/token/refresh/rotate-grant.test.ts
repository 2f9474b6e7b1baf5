import t from 'tap'
import { eventsOf, loggedIn } from '../../../../support/logged-in.ts'
import { NEAR_EXPIRY, refreshes, refused, say, tokensOf } from '../../../../support/refresh-requests.ts'
import { until } from '../../../../support/wait.ts'

t.test(
  'every refresh rotates both handles; the provider is not asked without need (D-02, D-17)',
  async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.countCalls()
    const response = await plugin.refresh(plugin.tokens.refresh_token)
    t.equal(plugin.store.countCalls(), 2, 'two round trips')
    t.equal(response.statusCode, 200)
    const next = tokensOf(response)
    t.match(next, {
      access_token: /^pka_/,
      refresh_token: /^pkr_/,
      token_type: 'Bearer',
      scope: 'orders.read orders.write',
    })
    t.not(next.refresh_token, plugin.tokens.refresh_token)
    t.not(next.access_token, plugin.tokens.access_token)
    t.ok(next.expires_in >= 599 && next.expires_in <= 600)
    t.equal(refreshes(plugin), 0)
    t.equal((await plugin.call(next.access_token)).statusCode, 200)
    t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 200, 'to its own expiry (D-05)')
    t.same(eventsOf(plugin), ['session.activated', 'session.refreshed'])

    const third = tokensOf(await plugin.refresh(next.refresh_token))
    t.equal(new Set([plugin.tokens.refresh_token, next.refresh_token, third.refresh_token]).size, 3)
  },
)

t.test('50 parallel refreshes: one generation step, one successor for all (D-03, D-05, D-06)', async (t) => {
  for (const [name, seconds, calls] of [
    ['without a provider call', 0, 0],
    ['with a provider call', NEAR_EXPIRY, 1],
  ] as const) {
    t.test(name, async (t) => {
      const plugin = await loggedIn(t)
      plugin.store.advance(seconds)
      plugin.store.gather('read', 50)
      const all = Array.from({ length: 50 }, () => plugin.refresh(plugin.tokens.refresh_token))
      const answers = await Promise.all(all)
      t.same([...new Set(answers.map(({ statusCode }) => statusCode))], [200])
      t.equal(new Set(answers.map((answer) => tokensOf(answer).refresh_token)).size, 1)
      t.equal(new Set(answers.map((answer) => tokensOf(answer).access_token)).size, 1)
      t.equal(refreshes(plugin), calls)
      t.equal(eventsOf(plugin).filter((event) => event === 'session.refreshed').length, 1)
      t.equal((await plugin.refresh(tokensOf(answers[0]!).refresh_token)).statusCode, 200)
    })
  }
})

t.test('grace: the immediate predecessor gets the same successor again (D-05)', async (t) => {
  t.test('within 15 s, with the time that has passed taken off', async (t) => {
    const plugin = await loggedIn(t)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    plugin.store.advance(5)
    const again = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    t.equal(again.refresh_token, next.refresh_token)
    t.equal(again.access_token, next.access_token)
    t.equal(again.scope, next.scope)
    t.ok(again.expires_in <= 595 && again.expires_in >= 594, String(again.expires_in))
  })

  t.test('not when the successor has been presented: then the grant ends', async (t) => {
    const plugin = await loggedIn(t)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    const third = tokensOf(await plugin.refresh(next.refresh_token))
    refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    refused(t, await plugin.refresh(third.refresh_token), 400, 'invalid_grant')
    t.equal((await plugin.call(third.access_token)).statusCode, 401)
  })

  t.test('not when the successor has been presented in vain, while the provider was down', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(3299)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    plugin.store.advance(2)
    plugin.provider.behave.token = say(500, {})
    refused(t, await plugin.refresh(next.refresh_token), 503, 'temporarily_unavailable')
    refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    t.ok(eventsOf(plugin).includes('refresh.reuse'))
  })

  t.test('refreshGraceSeconds 0: reuse as soon as the successor has been used', async (t) => {
    const plugin = await loggedIn(t, { lifetimes: { refreshGraceSeconds: 0 } })
    const held = plugin.store.hold('read')
    const slow = plugin.refresh(plugin.tokens.refresh_token)
    await held.reached
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    held.release()
    t.equal(tokensOf(await slow).refresh_token, next.refresh_token)
    t.equal((await plugin.call(next.access_token)).statusCode, 200)
    await until(() => !plugin.store.written.at(-1)!.includes('"unpresented"'))
    refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    t.equal((await plugin.call(next.access_token)).statusCode, 401)
  })
})

t.test(
  'scope narrows the issued token, and the grant keeps the original (RFC 6749 §6, D-13, H-04)',
  async (t) => {
    const plugin = await loggedIn(t)
    const narrow = tokensOf(await plugin.refresh(plugin.tokens.refresh_token, { scope: 'orders.write' }))
    t.equal(narrow.scope, 'orders.write')
    const refusal = await plugin.call(narrow.access_token)
    t.equal(refusal.statusCode, 403)
    t.match(refusal.headers['www-authenticate'], /error="insufficient_scope".*scope="orders.read"/)
    const wide = tokensOf(await plugin.refresh(narrow.refresh_token))
    t.equal(wide.scope, 'orders.read orders.write')
    t.equal((await plugin.call(wide.access_token)).statusCode, 200)

    const { refresh_token } = await plugin.login({ scope: 'orders.read' })
    refused(
      t,
      await plugin.refresh(refresh_token, { scope: 'orders.read orders.write' }),
      400,
      'invalid_scope',
    )
    t.equal((await plugin.refresh(refresh_token)).statusCode, 200, 'not rotated')
  },
)
