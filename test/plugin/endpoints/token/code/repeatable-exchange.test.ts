import t, { type Test } from 'tap'
import { eventsOf } from '../../../../support/logged-in.ts'
import { newPair, type PluginApp, REDIRECT_URI, startPluginApp } from '../../../../support/plugin-app.ts'
import { slowProvider, tokensOf } from '../../../../support/refresh-requests.ts'
import { burnt, refused } from '../../../../support/token-requests.ts'
import { until } from '../../../../support/wait.ts'

type Options = Parameters<typeof startPluginApp>[1]

/** An app whose exchanges may be repeated, and one whose may not, which is the default. */
const clients = [
  { clientId: 'app', redirectUris: [REDIRECT_URI], scopes: ['orders.read'], repeatableExchange: true },
  { clientId: 'other', redirectUris: [REDIRECT_URI] },
]

async function redeemed(t: Test, options: Options = {}) {
  const plugin = await startPluginApp(t, { clients, ...options })
  const { code } = await plugin.code()
  return { plugin, code, lost: tokensOf(await plugin.redeem(code)) }
}

for (const tokens of ['opaque', 'relay'] as const) {
  t.test(`a lost answer to a code is given again, the same (C-25, ${tokens})`, async (t) => {
    const { plugin, code, lost } = await redeemed(t, { tokens })
    plugin.store.advance(14)
    const again = tokensOf(await plugin.redeem(code))
    t.ok(lost.expires_in - again.expires_in >= 13, 'the time that has passed is taken off')
    t.same({ ...again, expires_in: lost.expires_in }, lost)
    t.equal(plugin.provider.count('/token'), 1)
    t.same(eventsOf(plugin), ['session.activated', 'code.duplicate'])
    t.equal((await plugin.call(again.access_token)).statusCode, 200)
    t.equal((await plugin.refresh(again.refresh_token)).statusCode, 200)
  })
}

t.test('not once one of its tokens has been presented: 400, and nothing ends (C-25)', async (t) => {
  const presentations: Record<string, (plugin: PluginApp, lost: ReturnType<typeof tokensOf>) => unknown> = {
    'the access token': async (plugin, { access_token }) => {
      await plugin.call(access_token)
      await until(() => !plugin.store.written.at(-1)!.includes('"unpresented"'))
    },
    'the refresh token': (plugin, { refresh_token }) => plugin.refresh(refresh_token),
  }
  for (const [name, present] of Object.entries(presentations)) {
    t.test(name, async (t) => {
      const { plugin, code, lost } = await redeemed(t)
      await present(plugin, lost)
      refused(t, await plugin.redeem(code), 400, 'invalid_grant')
      t.equal((await plugin.call(lost.access_token)).statusCode, 200)
    })
  }
})

t.test('not after duplicateSeconds: that is a replay, and ends the session (C-14)', async (t) => {
  const { plugin, code, lost } = await redeemed(t)
  plugin.store.advance(16)
  refused(t, await plugin.redeem(code), 400, 'invalid_grant')
  t.equal((await plugin.call(lost.access_token)).statusCode, 401)
  t.ok(eventsOf(plugin).includes('code.replay'))
})

t.test('not for what is not proved, and nothing ends (C-14)', async (t) => {
  const { plugin, code, lost } = await redeemed(t)
  for (const wrong of [
    { code_verifier: newPair().verifier },
    { redirect_uri: `${REDIRECT_URI}/` },
    { client_id: 'other' },
  ]) {
    refused(t, await plugin.redeem(code, wrong), 400, 'invalid_grant')
  }
  t.equal(tokensOf(await plugin.redeem(code)).access_token, lost.access_token)
})

t.test('not for a client that has not asked for it, which is the default', async (t) => {
  const plugin = await startPluginApp(t, { clients })
  const { code } = await plugin.code({ client_id: 'other' })
  const form = { client_id: 'other' }
  t.equal((await plugin.redeem(code, form)).statusCode, 200)
  refused(t, await plugin.redeem(code, form), 400, 'invalid_grant')
})

t.test('not for a session that has ended', async (t) => {
  const { plugin, code, lost } = await redeemed(t)
  await plugin.post('revoke', { client_id: 'app', token: lost.access_token })
  await burnt(t, plugin, code, 1)
})

t.test('twice at once: one call to the provider, and one answer for both (C-15, C-25)', async (t) => {
  const plugin = await startPluginApp(t, { clients })
  const { code } = await plugin.code()
  const slow = slowProvider(plugin)
  const all = Array.from({ length: 10 }, () => plugin.redeem(code))
  await until(() => plugin.provider.count('/token') === 1)
  slow.letGo()
  const answers = (await Promise.all(all)).map(tokensOf)
  t.equal(new Set(answers.map(({ access_token }) => access_token)).size, 1)
  t.equal(new Set(answers.map(({ refresh_token }) => refresh_token)).size, 1)
  t.equal(plugin.provider.count('/token'), 1)
})

t.test('a repetition waits 5 s for the first request, then 503 with Retry-After (C-25)', async (t) => {
  const plugin = await startPluginApp(t, { clients })
  const { code } = await plugin.code()
  const slow = slowProvider(plugin)
  const first = plugin.redeem(code)
  await until(() => plugin.provider.count('/token') === 1)
  const reads = plugin.store.calls.read ?? 0
  const second = plugin.redeem(code)
  await until(() => (plugin.store.calls.read ?? 0) > reads + 1)
  plugin.store.advance(5)
  const response = await second
  refused(t, response, 503, 'temporarily_unavailable')
  t.equal(response.headers['retry-after'], '5')
  slow.letGo()
  t.equal(tokensOf(await plugin.redeem(code)).access_token, tokensOf(await first).access_token)
})

t.test('the answer of an exchange that failed is not repeated: the code is burnt (C-17)', async (t) => {
  const plugin = await startPluginApp(t, { clients })
  const { code } = await plugin.code()
  plugin.provider.behave.token = (_request, response) => response.destroy()
  t.equal((await plugin.redeem(code)).statusCode, 503)
  await burnt(t, plugin, code, 1)
})

t.test('nothing is stored for it: no handle, and no secret of one', async (t) => {
  const { plugin, lost } = await redeemed(t)
  const written = plugin.store.written.join('')
  for (const handle of [lost.access_token, lost.refresh_token]) {
    const bytes = Buffer.from(handle.slice(4), 'base64url')
    t.notOk(written.includes(handle.slice(4)))
    t.notOk(written.includes(bytes.subarray(16).toString('base64url')))
  }
})
