import t, { type Test } from 'tap'
import { eventsOf, loggedIn } from '../../../../support/logged-in.ts'
import type { PluginApp, Tokens } from '../../../../support/plugin-app.ts'
import {
  NEAR_EXPIRY,
  refreshes,
  refused,
  say,
  slowProvider,
  tokensOf,
} from '../../../../support/refresh-requests.ts'
import type { Behaviour } from '../../../../support/stub-provider.ts'
import { until } from '../../../../support/wait.ts'

t.test('those who wait for a lease never call the provider (D-06, D-10)', async (t) => {
  t.test('it answers: one successor for all', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(NEAR_EXPIRY)
    const slow = slowProvider(plugin)
    const all = Array.from({ length: 20 }, () => plugin.refresh(plugin.tokens.refresh_token))
    await until(() => refreshes(plugin) === 1)
    const late = plugin.refresh(plugin.tokens.refresh_token)
    slow.letGo()
    const answers = await Promise.all([...all, late])
    t.equal(new Set(answers.map((answer) => tokensOf(answer).refresh_token)).size, 1)
    t.equal(refreshes(plugin), 1)
  })

  t.test('it fails: 503 for all, one call', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(NEAR_EXPIRY)
    plugin.provider.behave.token = say(500, {})
    const slow = slowProvider(plugin)
    const all = Array.from({ length: 20 }, () => plugin.refresh(plugin.tokens.refresh_token))
    await until(() => refreshes(plugin) === 1)
    slow.letGo()
    const answers = await Promise.all(all)
    for (const answer of answers) t.equal(answer.statusCode, 503)
    t.equal(refreshes(plugin), 1)
  })

  t.test('its caller is dead: 503 once the lease has run out, and the next one is served', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(NEAR_EXPIRY)
    const slow = slowProvider(plugin)
    const dead = plugin.refresh(plugin.tokens.refresh_token)
    await until(() => refreshes(plugin) === 1)
    const waiting = plugin.refresh(plugin.tokens.refresh_token)
    await until(() => (plugin.store.calls.read ?? 0) >= 6)
    plugin.store.advance(16)
    refused(t, await waiting, 503, 'temporarily_unavailable')
    t.equal(refreshes(plugin), 1)

    const { token } = plugin.provider.behave
    plugin.provider.behave.token = say(200, { access_token: 'b', token_type: 'Bearer', expires_in: 3600 })
    t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
    plugin.provider.behave.token = token
    slow.letGo()
    await dead
  })
})

t.test('a logout while the provider is slow wins (D-08)', async (t) => {
  const rows: [string, (plugin: PluginApp & { tokens: Tokens }) => Promise<unknown>][] = [
    [
      'by the app',
      (plugin) => plugin.post('revoke', { client_id: 'app', token: plugin.tokens.refresh_token }),
    ],
    ['by an administrator', ({ app }) => app.pkce.endSession({ subject: 'alice' })],
  ]
  for (const [name, logOut] of rows) {
    t.test(`${name}: invalid_grant, and what the provider issued is taken back`, async (t) => {
      const plugin = await loggedIn(t, { provider: { scope: 'openid' } })
      plugin.store.advance(NEAR_EXPIRY)
      const slow = slowProvider(plugin)
      const refreshing = plugin.refresh(plugin.tokens.refresh_token)
      await until(() => refreshes(plugin) === 1)
      await logOut(plugin)
      slow.letGo()
      refused(t, await refreshing, 400, 'invalid_grant')
      const revoked = () =>
        plugin.provider.requests.filter(({ path }) => path === '/revoke').map(({ form }) => form.get('token'))
      await until(() => revoked().includes('provider-refresh-2'))
      t.same(await plugin.app.pkce.sessionsOf('alice'), [])
      t.notOk(eventsOf(plugin).includes('session.refreshed'))
    })
  }
})

t.test('a caller that comes back after its lease is refused, and does no harm (D-07)', async (t) => {
  /** One refresh hangs at the provider, its lease runs out, and the app's next one succeeds. */
  async function overtaken(t: Test) {
    const plugin = await loggedIn(t)
    plugin.store.advance(NEAR_EXPIRY)
    const answers: (() => void)[] = []
    let answerLate: Behaviour = say(500, {})
    const { token } = plugin.provider.behave
    plugin.provider.behave.token = (request, response) =>
      new Promise<void>((resolve) => {
        answers.push(() => {
          answerLate(request, response)
          resolve()
        })
      })
    const late = plugin.refresh(plugin.tokens.refresh_token)
    await until(() => answers.length === 1)
    plugin.store.advance(16)
    plugin.provider.behave.token = token
    const winner = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    return {
      plugin,
      winner,
      comeBack(behaviour: Behaviour) {
        answerLate = behaviour
        answers[0]!()
        return late
      },
    }
  }

  t.test('with tokens: they are revoked, and its app gets the successor within the grace', async (t) => {
    const { plugin, winner, comeBack } = await overtaken(t)
    const late = await comeBack(
      say(200, { access_token: 'late', refresh_token: 'late-refresh', token_type: 'Bearer' }),
    )
    t.equal(tokensOf(late).refresh_token, winner.refresh_token)
    await until(() => plugin.provider.count('/revoke') === 1)
    t.equal(plugin.provider.requests.at(-1)!.form.get('token'), 'late-refresh')
    t.match((await plugin.call(winner.access_token)).json(), { authorization: 'Bearer provider-access-2' })
  })

  t.test(
    'with an access token alone: the refresh token that the winner may hold is not revoked',
    async (t) => {
      const { plugin, comeBack } = await overtaken(t)
      await comeBack(say(200, { access_token: 'late', token_type: 'Bearer' }))
      await until(() => plugin.provider.count('/revoke') === 1)
      t.equal(plugin.provider.requests.at(-1)!.form.get('token'), 'late')
    },
  )

  t.test('with invalid_grant, for a token that the winner has replaced: the session goes on', async (t) => {
    const { plugin, winner, comeBack } = await overtaken(t)
    const late = await comeBack(say(400, { error: 'invalid_grant' }))
    t.equal(tokensOf(late).refresh_token, winner.refresh_token)
    t.equal((await plugin.call(winner.access_token)).statusCode, 200)
    t.equal((await plugin.refresh(winner.refresh_token)).statusCode, 200)
  })

  t.test('when the app has gone on with the successor: 503, and no reuse', async (t) => {
    const { plugin, winner, comeBack } = await overtaken(t)
    const next = tokensOf(await plugin.refresh(winner.refresh_token))
    const late = await comeBack(
      say(200, { access_token: 'late', refresh_token: 'late-refresh', token_type: 'Bearer' }),
    )
    refused(t, late, 503, 'temporarily_unavailable')
    t.notOk(eventsOf(plugin).includes('refresh.reuse'))
    t.equal((await plugin.call(next.access_token)).statusCode, 200)
    t.equal((await plugin.refresh(next.refresh_token)).statusCode, 200)
  })
})
