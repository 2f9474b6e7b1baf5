import t from 'tap'
import { startPluginApp } from '../../../support/plugin-app.ts'
import { refreshes, refused, say, tokensOf } from '../../../support/refresh-requests.ts'

type Options = Parameters<typeof startPluginApp>[1]

/** A login at a provider that gives no refresh token. */
async function signedIn(t: Parameters<typeof startPluginApp>[0], expires_in?: number, options: Options = {}) {
  const plugin = await startPluginApp(t, options)
  plugin.provider.behave.token = say(200, { access_token: 'a', token_type: 'Bearer', expires_in })
  return { plugin, tokens: await plugin.login() }
}

t.test('8 hours without a refresh token of the provider: a session of 8 hours (D-15)', async (t) => {
  const { plugin, tokens } = await signedIn(t, 28_800)
  t.ok(tokens.expires_in >= 599)
  let { refresh_token } = tokens
  for (let hour = 1; hour < 8; hour += 1) {
    plugin.store.advance(3600)
    ;({ refresh_token } = tokensOf(await plugin.refresh(refresh_token)))
  }
  plugin.store.advance(3300)
  const last = tokensOf(await plugin.refresh(refresh_token))
  t.ok(last.expires_in <= 300 && last.expires_in >= 299, 'no access token outlives it (D-17)')
  t.equal((await plugin.call(last.access_token)).statusCode, 200)
  t.equal(refreshes(plugin), 0, 'nobody was asked')
  plugin.store.advance(301)
  t.equal((await plugin.call(last.access_token)).statusCode, 401)
  refused(t, await plugin.refresh(last.refresh_token), 400, 'invalid_grant')
})

t.test('a token that does not outlive ours: there is nothing to refresh (D-15)', async (t) => {
  for (const [seconds, mode] of [
    [600, 'opaque'],
    [60, 'opaque'],
    [28_800, 'relay'],
  ] as const) {
    const { tokens } = await signedIn(t, seconds, { tokens: mode })
    t.notOk('refresh_token' in tokens, `${seconds} s, ${mode}`)
    t.ok(Math.abs(tokens.expires_in - seconds) <= 1)
  }
})

t.test('neither expires_in nor a refresh token: as long as the session (D-15)', async (t) => {
  const DAY = 86_400
  const { plugin, tokens } = await signedIn(t)
  let { refresh_token } = tokens
  for (let day = 0; day < 87; day += 29) {
    plugin.store.advance(29 * DAY)
    ;({ refresh_token } = tokensOf(await plugin.refresh(refresh_token)))
  }
  t.equal(refreshes(plugin), 0)
  plugin.store.advance(4 * DAY)
  refused(t, await plugin.refresh(refresh_token), 400, 'invalid_grant')
})

t.test('defaultTokenSeconds says what the provider does not (D-15)', async (t) => {
  const { tokens } = await signedIn(t, undefined, { provider: { defaultTokenSeconds: 120 } })
  t.notOk('refresh_token' in tokens)
  t.ok(Math.abs(tokens.expires_in - 120) <= 1)
})
