import t from 'tap'
import { eventsOf } from '../../../support/logged-in.ts'
import {
  codeFor,
  revokedAtProvider,
  SHARED,
  sessionOf,
  startSharingApp,
  tokensOf,
} from '../../../support/relayed-tokens.ts'
import { revoke } from '../../../support/revoke-requests.ts'
import { refused } from '../../../support/token-requests.ts'
import { until } from '../../../support/wait.ts'

t.test(
  "the access token of another subject's live session -> 502, and that session goes on (F-17)",
  async (t) => {
    const plugin = await startSharingApp(t)
    await plugin.login()
    refused(t, await plugin.redeem(await codeFor(plugin, 'bob')), 502, 'server_error')
    t.match(plugin.events.at(-1), { event: 'provider.error', reason: 'provider_subject_mismatch' })
    t.match(plugin.log(), /a live session of another subject has the same access token/)
    t.notMatch(plugin.log(), SHARED)
    t.same(await plugin.app.pkce.sessionsOf('bob'), [])
    t.match(await sessionOf(plugin), { subject: 'alice' })
    await plugin.app.close()
    t.same(revokedAtProvider(plugin), [], "nothing of it is revoked: it is alice's token")
  },
)

t.test('once that session is over the token may be of anybody (F-17)', async (t) => {
  t.test('ended', async (t) => {
    const plugin = await startSharingApp(t)
    await revoke(plugin, (await plugin.login()).refresh_token)
    t.equal((await plugin.redeem(await codeFor(plugin, 'bob'))).statusCode, 200)
    t.match(await sessionOf(plugin), { subject: 'bob' })
  })
  t.test('expired', async (t) => {
    const plugin = await startSharingApp(t)
    plugin.answer.expires_in = 60
    await plugin.login()
    plugin.store.advance(60)
    t.equal((await plugin.redeem(await codeFor(plugin, 'bob'))).statusCode, 200)
    t.match(await sessionOf(plugin), { subject: 'bob' })
  })
})

t.test('of two at the same time one at least sees the other (F-17)', async (t) => {
  t.test('an exchange that has looked already is seen by the next', async (t) => {
    const plugin = await startSharingApp(t)
    const codes = [await codeFor(plugin, 'alice'), await codeFor(plugin, 'bob')]
    const looking = plugin.store.hold('readIndex')
    const first = plugin.redeem(codes[0]!)
    await looking.reached
    refused(t, await plugin.redeem(codes[1]!), 502, 'server_error')
    looking.release()
    t.equal((await first).statusCode, 200)
    t.match(await sessionOf(plugin), { subject: 'alice' })
  })

  t.test('both are refused where both look at once', async (t) => {
    const plugin = await startSharingApp(t)
    const codes = [await codeFor(plugin, 'alice'), await codeFor(plugin, 'bob')]
    plugin.store.gather('addToIndex', 2)
    for (const response of await Promise.all(codes.map((code) => plugin.redeem(code)))) {
      refused(t, response, 502, 'server_error')
    }
    t.equal(await sessionOf(plugin), 401)
  })

  t.test('a refresh that has looked already, too', async (t) => {
    const plugin = await startSharingApp(t)
    plugin.answer.access_token = 'of-alice'
    const alice = await plugin.login()
    plugin.answer.access_token = SHARED
    const looking = plugin.store.hold('readIndex')
    const refreshed = plugin.refresh(alice.refresh_token)
    await looking.reached
    refused(t, await plugin.redeem(await codeFor(plugin, 'bob')), 502, 'server_error')
    looking.release()
    t.equal((await refreshed).statusCode, 200)
  })

  t.test('two logins of one person are no conflict', async (t) => {
    const plugin = await startSharingApp(t)
    const codes = [await codeFor(plugin, 'alice'), await codeFor(plugin, 'alice')]
    plugin.store.gather('addToIndex', 2)
    const responses = await Promise.all(codes.map((code) => plugin.redeem(code)))
    t.same(
      responses.map(({ statusCode }) => statusCode),
      [200, 200],
    )
  })
})

t.test('a store that cannot tell who else has the token -> 503, no session (C-18, G-08)', async (t) => {
  for (const operation of ['readIndex', 'read'] as const) {
    const plugin = await startSharingApp(t)
    await plugin.login()
    const code = await codeFor(plugin, 'bob')
    const { token } = plugin.provider.behave
    plugin.provider.behave.token = (request, response) => {
      plugin.store.fail(operation, 1)
      return token(request, response)
    }
    refused(t, await plugin.redeem(code), 503, 'temporarily_unavailable')
    t.match(await sessionOf(plugin), { subject: 'alice' })
    await plugin.app.close()
    t.same(revokedAtProvider(plugin), [], 'a session lives on it')
  }
})

t.test('a refresh that brings the access token of another subject ends its own session (D-14)', async (t) => {
  const plugin = await startSharingApp(t)
  await plugin.login()
  Object.assign(plugin.answer, { sub: 'bob', access_token: 'of-bob' })
  const bob = await plugin.login()
  plugin.answer.access_token = SHARED
  refused(t, await plugin.refresh(bob.refresh_token), 400, 'invalid_grant')
  t.same(eventsOf(plugin).slice(-2), ['provider.error', 'session.ended'])
  t.same(await plugin.app.pkce.sessionsOf('bob'), [])
  t.match(await sessionOf(plugin), { subject: 'alice' })
  await plugin.app.close()
  t.same(revokedAtProvider(plugin), [])
})

t.test("a refresh that brings the token of the subject's other session shares it (H-04)", async (t) => {
  const plugin = await startSharingApp(t)
  await plugin.login()
  await sessionOf(plugin)
  plugin.answer.access_token = 'of-the-other'
  const other = tokensOf(
    await plugin.redeem((await plugin.code({ client_id: 'other' })).code, { client_id: 'other' }),
  )
  plugin.answer.access_token = SHARED
  const refreshed = tokensOf(await plugin.refresh(other.refresh_token, { client_id: 'other' }))
  t.equal(refreshed.access_token, SHARED)
  t.match(await sessionOf(plugin), { scope: /^orders\.read$/ }, 'narrowed at once')
})

t.test(
  'what a failed exchange was given is revoked, unless a session lives on it (C-18, D-11)',
  async (t) => {
    for (const [others, revoked] of [
      [0, ['refresh-1']],
      [1, []],
    ] as const) {
      const plugin = await startSharingApp(t)
      for (let i = 0; i < others; i++) await plugin.login()
      const { code } = await plugin.code()
      const { token } = plugin.provider.behave
      plugin.provider.behave.token = (request, response) => {
        plugin.store.fail('replace', 1)
        return token(request, response)
      }
      refused(t, await plugin.redeem(code), 503, 'temporarily_unavailable')
      if (others === 0) await until(() => plugin.provider.count('/revoke') === 1)
      await plugin.app.close()
      t.same(revokedAtProvider(plugin), revoked)
    }
  },
)
