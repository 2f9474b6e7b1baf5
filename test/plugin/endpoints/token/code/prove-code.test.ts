import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { eventsOf } from '../../../../support/logged-in.ts'
import {
  CHALLENGE,
  newPair,
  type PluginApp,
  REDIRECT_URI,
  startPluginApp,
  VERIFIER,
} from '../../../../support/plugin-app.ts'
import { burnt, INVALID_GRANT, refused, stillGood } from '../../../../support/token-requests.ts'

t.test('relay PKCE: the proved verifier goes on to the provider, a wrong one does not (C-16)', async (t) => {
  const plugin = await startPluginApp(t, { provider: { pkce: 'relay' } })
  const { code, authorized } = await plugin.code()
  t.equal(authorized.challenge, CHALLENGE)
  t.equal((await plugin.redeem(code)).statusCode, 200)
  t.equal(plugin.provider.requests.at(-1)!.form.get('code_verifier'), VERIFIER)

  const second = await plugin.code()
  await plugin.redeem(second.code, { code_verifier: newPair().verifier })
  t.equal(plugin.provider.count('/token'), 1)
})

t.test(
  'Appendix A, steps 8 and 9: six ways to be wrong, one answer (RFC 6749 §10.10, C-12, C-13, C-20)',
  async (t) => {
    const variants: [
      string,
      (plugin: PluginApp, code: string) => Promise<LightMyRequestResponse>,
      string[],
    ][] = [
      ['unknown', (plugin) => plugin.redeem(`pkc_${'x'.repeat(64)}`), []],
      [
        'expired',
        (plugin, code) => {
          plugin.store.advance(60)
          return plugin.redeem(code)
        },
        [],
      ],
      [
        'used',
        async (plugin, code) => {
          await plugin.redeem(code)
          return plugin.redeem(code)
        },
        ['session.activated', 'code.duplicate'],
      ],
      ['of another client', (plugin, code) => plugin.redeem(code, { client_id: 'other' }), ['code.mismatch']],
      [
        'with another redirect_uri',
        (plugin, code) => plugin.redeem(code, { redirect_uri: `${REDIRECT_URI}/` }),
        ['code.mismatch'],
      ],
      [
        'with a wrong verifier',
        (plugin, code) => plugin.redeem(code, { code_verifier: newPair().verifier }),
        ['code.verifier_mismatch'],
      ],
    ]
    const answers = new Set<string>()
    for (const [name, attempt, events] of variants) {
      await t.test(`a code ${name} -> 400 invalid_grant, burnt, audited (J-04)`, async (t) => {
        const plugin = await startPluginApp(t)
        const { code } = await plugin.code()
        const response = await attempt(plugin, code)
        refused(t, response, 400, 'invalid_grant')
        const { date: _, ...headers } = response.headers
        answers.add(JSON.stringify([response.statusCode, headers, response.body]))
        t.same(eventsOf(plugin), events)
        if (name !== 'unknown') await burnt(t, plugin, code, name === 'used' ? 1 : 0)
      })
    }
    t.equal(answers.size, 1, 'status, headers and body are identical')

    t.test('a string that is no handle at all gets the same answer', async (t) => {
      const plugin = await startPluginApp(t)
      t.same((await plugin.redeem('garbage')).json(), INVALID_GRANT)
      t.same((await plugin.redeem('pkc_"; DROP TABLE grants')).json(), INVALID_GRANT)
    })

    t.test('the port of a loopback redirect is part of the binding (RFC 8252 §7.3, C-13)', async (t) => {
      const clients = [
        { clientId: 'app', redirectUris: ['http://127.0.0.1/cb'], interaction: 'none' as const },
      ]
      const plugin = await startPluginApp(t, { clients })
      const { code } = await plugin.code({ redirect_uri: 'http://127.0.0.1:5001/cb' })
      const response = await plugin.redeem(code, { redirect_uri: 'http://127.0.0.1:5002/cb' })
      t.same(response.json(), INVALID_GRANT)
      const second = await plugin.code({ redirect_uri: 'http://127.0.0.1:5001/cb' })
      t.equal(
        (await plugin.redeem(second.code, { redirect_uri: 'http://127.0.0.1:5001/cb' })).statusCode,
        200,
      )
    })

    t.test('redirect_uri may be left out, not be another (OAuth 2.1 draft §10.2, C-13)', async (t) => {
      const plugin = await startPluginApp(t)
      for (const redirect_uri of [undefined, '']) {
        const { code } = await plugin.code()
        t.equal((await plugin.redeem(code, { redirect_uri })).statusCode, 200)
      }
      const { code } = await plugin.code()
      const wrong = await plugin.redeem(code, { redirect_uri: undefined, code_verifier: newPair().verifier })
      t.same(wrong.json(), INVALID_GRANT, 'the verifier binds the code')
      await burnt(t, plugin, code, 2)
    })

    t.test('one second before its end a code is good: no leeway, and no haste (G-06)', async (t) => {
      const plugin = await startPluginApp(t)
      const { code } = await plugin.code()
      plugin.store.advance(59)
      t.equal((await plugin.redeem(code)).statusCode, 200)
    })

    t.test(
      'the challenge presented as a plain verifier -> invalid_grant (RFC 7636 §7.2, C-10)',
      async (t) => {
        const plugin = await startPluginApp(t)
        const { code } = await plugin.code()
        const response = await plugin.redeem(code, {
          code_verifier: CHALLENGE,
          code_challenge_method: 'plain',
        })
        refused(t, response, 400, 'invalid_grant')
        await burnt(t, plugin, code)
      },
    )
  },
)

t.test('a right selector with a wrong secret has no effect (C-12, C-24)', async (t) => {
  const plugin = await startPluginApp(t)
  const { code } = await plugin.code()
  const guess = `${code.slice(0, -1)}${code.endsWith('A') ? 'B' : 'A'}`
  refused(t, await plugin.redeem(guess), 400, 'invalid_grant')
  refused(t, await plugin.redeem(guess, { code_verifier: newPair().verifier }), 400, 'invalid_grant')
  t.same(eventsOf(plugin), [])
  await stillGood(t, plugin, code)
})

t.test('one type of handle never works as another (C-24)', async (t) => {
  const plugin = await startPluginApp(t)
  const begun = await plugin.authorize()
  refused(t, await plugin.redeem(begun.state), 400, 'invalid_grant')
  refused(t, await plugin.redeem(begun.state.replace('pks_', 'pkc_')), 400, 'invalid_grant')
  const answer = await plugin.callback(begun)
  t.equal(answer.statusCode, 302, 'the transaction was not touched')

  const tokens = await plugin.login()
  for (const bearer of [tokens.refresh_token, tokens.refresh_token.replace('pkr_', 'pka_'), begun.state]) {
    t.equal((await plugin.call(bearer)).statusCode, 401)
  }
  for (const token of [tokens.access_token, tokens.access_token.replace('pka_', 'pkr_')]) {
    refused(t, await plugin.refresh(token), 400, 'invalid_grant')
  }
  t.equal((await plugin.call(tokens.access_token)).statusCode, 200)
  t.equal((await plugin.refresh(tokens.refresh_token)).statusCode, 200)
})

t.test('100 parallel redemptions, one of them right: nobody gets past a wrong verifier (C-12)', async (t) => {
  const plugin = await startPluginApp(t)
  const { code } = await plugin.code()
  const wrong = newPair().verifier
  plugin.store.gather('read', 100)
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      plugin.redeem(code, index === 50 ? {} : { code_verifier: wrong }),
    ),
  )
  t.ok(answers.filter(({ statusCode }) => statusCode === 200).length <= 1)
  t.ok(plugin.provider.count('/token') <= 1)
})

t.test('records that are not complete are absent (C-23, G-15)', async (t) => {
  const rows: [string, (record: Record<string, unknown>) => unknown][] = [
    ['without a challenge', ({ codeChallenge: _, ...rest }) => rest],
    ['with a challenge that is null', (record) => ({ ...record, codeChallenge: null })],
    ['of an unknown version', (record) => ({ ...record, v: 2 })],
    ['of an unknown status', (record) => ({ ...record, status: 'constructor' })],
    ['of another grant', (record) => ({ ...record, id: 'AAAAAAAAAAAAAAAAAAAAAA' })],
    ['with a field too many', (record) => ({ ...record, admin: true })],
    ['that is no record', () => []],
  ]
  for (const [name, edit] of rows) {
    t.test(`a record ${name} -> 400 invalid_grant, not 500`, async (t) => {
      const plugin = await startPluginApp(t)
      const { code } = await plugin.code()
      const record = JSON.parse(plugin.store.written.at(-1)!) as Record<string, unknown> & { id: string }
      const key = `grant:${record.id}`
      const { version } = (await plugin.store.read(key))!
      await plugin.store.replace(key, version, JSON.stringify(edit(record)), 60_000)
      refused(t, await plugin.redeem(code), 400, 'invalid_grant')
      t.equal(plugin.provider.count('/token'), 0)
    })
  }
})

t.test('a wrong verifier that is overtaken by the right one ends nothing (C-12, C-14)', async (t) => {
  const plugin = await startPluginApp(t)
  const { code } = await plugin.code()
  const held = plugin.store.hold('read')
  const wrong = plugin.redeem(code, { code_verifier: newPair().verifier })
  await held.reached
  const right = await plugin.redeem(code)
  t.equal(right.statusCode, 200)
  held.release()
  refused(t, await wrong, 400, 'invalid_grant')
  t.equal((await plugin.call((right.json() as { access_token: string }).access_token)).statusCode, 200)
  t.same(eventsOf(plugin), ['session.activated'])
})
