import t from 'tap'
import { eventsOf, loggedIn } from '../../../../support/logged-in.ts'
import type { PluginApp } from '../../../../support/plugin-app.ts'
import { NEAR_EXPIRY, refused, say, tokensOf } from '../../../../support/refresh-requests.ts'
import { json } from '../../../../support/stub-provider.ts'
import { until } from '../../../../support/wait.ts'

/** A provider that forgets a refresh token once it has been used, as many do. */
function rotatingProvider(plugin: PluginApp): { readonly accepted: string[] } {
  let current = 'provider-refresh-1'
  let generation = 1
  const accepted: string[] = []
  plugin.provider.behave.token = (request, response) => {
    const presented = request.form.get('refresh_token')
    if (presented !== current) return json(response, 400, { error: 'invalid_grant' })
    accepted.push(presented)
    generation += 1
    current = `provider-refresh-${generation}`
    json(response, 200, {
      access_token: `provider-access-${generation}`,
      refresh_token: current,
      token_type: 'Bearer',
      expires_in: 3600,
    })
  }
  return { accepted }
}

t.test('the store fails at any call of a refresh: nothing is lost (G-08)', async (t) => {
  t.test('without a provider call', async (t) => {
    for (const mode of ['fail', 'loseAnswer'] as const) {
      for (const operation of ['read', 'replace'] as const) {
        t.test(`${operation}, ${mode} -> 503, and a retry is good`, async (t) => {
          const plugin = await loggedIn(t)
          plugin.store[mode](operation, 1)
          refused(t, await plugin.refresh(plugin.tokens.refresh_token), 503, 'temporarily_unavailable')
          t.ok(eventsOf(plugin).includes('store.unavailable'))
          plugin.store.heal()
          const next = await plugin.refresh(plugin.tokens.refresh_token)
          t.equal(next.statusCode, 200, 'the same handle, or its successor again')
          t.equal((await plugin.refresh(tokensOf(next).refresh_token)).statusCode, 200)
        })
      }
    }
  })

  t.test('with a provider that rotates: up to the lease nothing has happened', async (t) => {
    for (const [operation, mode] of [
      ['read', 'fail'],
      ['replace', 'fail'],
    ] as const) {
      t.test(`${operation}, ${mode} -> 503, the provider not asked, and a retry is good`, async (t) => {
        const plugin = await loggedIn(t)
        const provider = rotatingProvider(plugin)
        plugin.store.advance(NEAR_EXPIRY)
        plugin.store[mode](operation, 1)
        refused(t, await plugin.refresh(plugin.tokens.refresh_token), 503, 'temporarily_unavailable')
        t.same(provider.accepted, [])
        t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
      })
    }

    t.test(
      'a lease that was written without an answer is read back, and its owner goes on (D-09)',
      async (t) => {
        const plugin = await loggedIn(t)
        const provider = rotatingProvider(plugin)
        plugin.store.advance(NEAR_EXPIRY)
        plugin.store.loseAnswer('replace', 1)
        t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
        t.same(provider.accepted, ['provider-refresh-1'])
      },
    )

    t.test('a lease that was not written -> 503, and the next attempt is good at once (D-09)', async (t) => {
      const plugin = await loggedIn(t)
      const provider = rotatingProvider(plugin)
      plugin.store.advance(NEAR_EXPIRY)
      plugin.store.fail('replace', 1)
      refused(t, await plugin.refresh(plugin.tokens.refresh_token), 503, 'temporarily_unavailable')
      t.same(provider.accepted, [])
      t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
    })
  })

  t.test('after the provider has rotated: the swap is made again within the lease', async (t) => {
    for (const mode of ['fail', 'loseAnswer'] as const) {
      for (const tokens of ['opaque', 'relay'] as const) {
        t.test(`${mode}, ${tokens} -> 200 all the same, and the session goes on`, async (t) => {
          const plugin = await loggedIn(t, { tokens })
          const provider = rotatingProvider(plugin)
          plugin.store.advance(NEAR_EXPIRY)
          plugin.store[mode]('replace', 2)
          const response = await plugin.refresh(plugin.tokens.refresh_token)
          t.equal(response.statusCode, 200, response.body)
          t.same(provider.accepted, ['provider-refresh-1'])
          t.equal(plugin.provider.count('/revoke'), 0, 'nothing was lost, so nothing is revoked')
          const next = tokensOf(response)
          t.equal((await plugin.call(next.access_token)).statusCode, 200)
          plugin.store.advance(NEAR_EXPIRY)
          t.equal((await plugin.refresh(next.refresh_token)).statusCode, 200)
          t.same(provider.accepted, ['provider-refresh-1', 'provider-refresh-2'])
        })
      }
    }

    t.test('the index of relay mode fails -> made again as well', async (t) => {
      const plugin = await loggedIn(t, { tokens: 'relay' })
      plugin.store.fail('addToIndex', 1)
      const { access_token } = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
      t.equal((await plugin.call(access_token)).statusCode, 200)
    })

    t.test('a logout while it is made again wins', async (t) => {
      const plugin = await loggedIn(t)
      rotatingProvider(plugin)
      plugin.store.advance(NEAR_EXPIRY)
      plugin.store.loseAnswer('replace', 2)
      const refreshing = plugin.refresh(plugin.tokens.refresh_token)
      const swaps = plugin.store.calls.replace ?? 0
      await until(() => (plugin.store.calls.replace ?? 0) >= swaps + 2)
      await plugin.post('revoke', { client_id: 'app', token: plugin.tokens.refresh_token })
      refused(t, await refreshing, 400, 'invalid_grant')
      await until(() => plugin.provider.count('/revoke') >= 1)
    })

    t.test(
      'somebody has gone on with the successor meanwhile: the answer is still the one that was written',
      async (t) => {
        const plugin = await loggedIn(t)
        rotatingProvider(plugin)
        plugin.store.advance(NEAR_EXPIRY)
        const swaps = plugin.store.calls.replace ?? 0
        plugin.store.loseAnswer('replace', 2)
        const first = plugin.refresh(plugin.tokens.refresh_token)
        await until(() => (plugin.store.calls.replace ?? 0) >= swaps + 2)
        const again = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
        const third = tokensOf(await plugin.refresh(again.refresh_token))
        t.equal(tokensOf(await first).refresh_token, again.refresh_token)
        t.equal(plugin.provider.count('/revoke'), 0)
        t.equal((await plugin.refresh(third.refresh_token)).statusCode, 200)
      },
    )

    t.test('the store stays down until the lease ends -> 503; written when it is back (D-11)', async (t) => {
      const plugin = await loggedIn(t)
      const provider = rotatingProvider(plugin)
      plugin.store.advance(NEAR_EXPIRY)
      const { token } = plugin.provider.behave
      plugin.provider.behave.token = (request, response) => {
        plugin.store.fail()
        return token(request, response)
      }
      const refreshing = plugin.refresh(plugin.tokens.refresh_token)
      const swaps = plugin.store.calls.replace ?? 0
      await until(() => (plugin.store.calls.replace ?? 0) >= swaps + 2)
      plugin.store.advance(16)
      refused(t, await refreshing, 503, 'temporarily_unavailable')
      t.same(provider.accepted, ['provider-refresh-1'])
      plugin.provider.behave.token = token
      const tries = plugin.store.calls.replace ?? 0
      plugin.store.heal()
      await until(() => (plugin.store.calls.replace ?? 0) > tries)
      const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
      t.same(provider.accepted, ['provider-refresh-1'])
      plugin.store.advance(NEAR_EXPIRY)
      t.equal((await plugin.refresh(next.refresh_token)).statusCode, 200)
      t.same(provider.accepted, ['provider-refresh-1', 'provider-refresh-2'])
    })

    t.test('the same with a provider that does not rotate: the session goes on', async (t) => {
      const plugin = await loggedIn(t)
      plugin.store.advance(NEAR_EXPIRY)
      const { token } = plugin.provider.behave
      const answer = { access_token: 'a', token_type: 'Bearer', expires_in: 3600 }
      plugin.provider.behave.token = (_request, response) => {
        plugin.store.fail()
        json(response, 200, answer)
      }
      const refreshing = plugin.refresh(plugin.tokens.refresh_token)
      const swaps = plugin.store.calls.replace ?? 0
      await until(() => (plugin.store.calls.replace ?? 0) >= swaps + 2)
      plugin.store.advance(16)
      refused(t, await refreshing, 503, 'temporarily_unavailable')
      t.equal(plugin.provider.count('/revoke'), 0, 'the refresh token that is kept must stay good')
      plugin.provider.behave.token = token
      plugin.store.heal()
      t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
    })
  })

  t.test('the lease cannot be given back -> 503, and a retry is good when it has run out', async (t) => {
    const plugin = await loggedIn(t)
    const { token } = plugin.provider.behave
    plugin.store.advance(NEAR_EXPIRY)
    plugin.provider.behave.token = say(500, {})
    plugin.store.fail('replace', 2)
    refused(t, await plugin.refresh(plugin.tokens.refresh_token), 503, 'temporarily_unavailable')
    plugin.provider.behave.token = token
    plugin.store.advance(16)
    t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
  })
})
