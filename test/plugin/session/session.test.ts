import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { SessionCache } from '../../../plugin/session/cache.ts'
import { Session } from '../../../plugin/session/session.ts'
import { type PluginApp, startPluginApp, type Tokens } from '../../support/plugin-app.ts'
import { json } from '../../support/stub-provider.ts'
import { deferred, until } from '../../support/wait.ts'

const REALM = 'Bearer realm="https://api.example.com"'
const INVALID_TOKEN = `${REALM}, error="invalid_token", error_description="The access token is unknown, expired or revoked."`

type Options = Parameters<typeof startPluginApp>[1]

async function loggedIn(
  t: Test,
  options?: Options,
  after?: (app: FastifyInstance) => void,
): Promise<PluginApp & { tokens: Tokens }> {
  const plugin = await startPluginApp(t, options, { ...(after && { after }) })
  return { ...plugin, tokens: await plugin.login() }
}

const eventsOf = (plugin: PluginApp) => plugin.events.map(({ event }) => event)
const secretOf = (byte: number) => Buffer.alloc(32, byte).toString('base64url')

t.test('the challenge says what was wrong, and no more (RFC 6750 §3, H-05, H-06)', async (t) => {
  const plugin = await loggedIn(t)
  const { access_token } = plugin.tokens
  const narrow = await plugin.login({ scope: 'orders.write' })
  const malformed = `${REALM}, error="invalid_request", error_description="Send exactly one Authorization header with one bearer token."`
  const inQuery = `${REALM}, error="invalid_request", error_description="Access tokens are not accepted in the URL."`
  const scope = `${REALM}, error="insufficient_scope", error_description="The access token lacks a required scope.", scope="orders.read"`
  const rows: [string, string, Record<string, string>, number, string, string][] = [
    ['no credentials', '/protected', {}, 401, REALM, 'token_absent'],
    ['garbage', '/protected', { authorization: 'Bearer garbage' }, 401, INVALID_TOKEN, 'token_unknown'],
    [
      'a well-formed guess',
      '/protected',
      { authorization: `Bearer pka_${'A'.repeat(64)}` },
      401,
      INVALID_TOKEN,
      'token_unknown',
    ],
    [
      'a right selector with a wrong secret',
      '/protected',
      { authorization: `Bearer ${access_token.slice(0, 26)}${'A'.repeat(42)}` },
      401,
      INVALID_TOKEN,
      'token_unknown',
    ],
    [
      'too little scope',
      '/protected',
      { authorization: `Bearer ${narrow.access_token}` },
      403,
      scope,
      'scope_insufficient',
    ],
    [
      'two tokens in one header',
      '/protected',
      { authorization: `Bearer ${access_token} ${access_token}` },
      400,
      malformed,
      'token_malformed',
    ],
    [
      'no token after the scheme',
      '/protected',
      { authorization: 'Bearer ' },
      400,
      malformed,
      'token_malformed',
    ],
    ['a token in the query', `/protected?access_token=${access_token}`, {}, 400, inQuery, 'token_in_query'],
    [
      'an encoded name in the query (P-16)',
      `/protected?x&%61ccess_token=${access_token}`,
      { authorization: `Bearer ${access_token}` },
      400,
      inQuery,
      'token_in_query',
    ],
  ]
  for (const [name, url, headers, status, challenge, reason] of rows) {
    t.test(`${name} -> ${status}`, async (t) => {
      const response = await plugin.app.inject({ url, headers })
      t.equal(response.statusCode, status)
      t.equal(response.headers['www-authenticate'], challenge)
      t.equal(response.headers['cache-control'], 'no-store')
      t.match(plugin.events.at(-1), { event: 'forward.denied', reason }, 'J-04')
      t.notOk(response.body.includes(access_token))
    })
  }

  t.test('a scheme in any case -> 200', async (t) => {
    const response = await plugin.app.inject({
      url: '/protected',
      headers: { authorization: `bEARER ${access_token}` },
    })
    t.equal(response.statusCode, 200)
    t.equal(response.headers['cache-control'], 'no-store')
  })

  t.test('two Authorization headers -> 400, by what was on the wire (P-3)', async (t) => {
    await plugin.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = plugin.app.server.address() as AddressInfo
    const status = await new Promise((resolve, reject) => {
      const authorization = [`Bearer ${access_token}`, 'Bearer x'] as unknown as string
      httpRequest({ host: '127.0.0.1', port, path: '/protected', headers: { authorization } })
        .on('response', (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end()
    })
    t.equal(status, 400)
  })
})

t.test(
  'no credential from before the activation passes, and none from after the end (issue: no forwarding before success)',
  async (t) => {
    const plugin = await startPluginApp(t)
    const authorized = await plugin.authorize()
    const { code } = await plugin.code()
    const expired = await plugin.login()
    const revoked = await plugin.login()
    await plugin.post('revoke', { client_id: 'app', token: revoked.access_token })
    const failing = await plugin.code()
    plugin.store.fail('replace', 2)
    await plugin.redeem(failing.code)
    const lost = plugin.store.written.findLast((text) => text.includes('"status":"active"'))!
    const neverCommitted = (JSON.parse(lost) as { accessTokens: [{ hash: string }] }).accessTokens[0].hash
    plugin.store.advance(601)

    const credentials: Record<string, string> = {
      'our state': authorized.state,
      'our state as an access token': authorized.state.replace('pks_', 'pka_'),
      'our code': code,
      'our code as an access token': code.replace('pkc_', 'pka_'),
      "the provider's code": 'provider-code',
      'a provider token that was issued here': 'provider-access-1',
      'a provider token obtained elsewhere': 'elsewhere',
      'a refresh token': expired.refresh_token,
      'an expired access token': expired.access_token,
      'a revoked access token': revoked.access_token,
      'the hash of a handle that was never committed': neverCommitted,
    }
    for (const [name, credential] of Object.entries(credentials)) {
      t.test(`${name} -> 401`, async (t) => {
        const response = await plugin.call(credential)
        t.equal(response.statusCode, 401)
        t.equal(response.headers['www-authenticate'], INVALID_TOKEN)
      })
    }
  },
)

t.test('an access token ends at its expiry, to the second, warm or cold (G-06, H-04)', async (t) => {
  const plugin = await loggedIn(t)
  plugin.store.advance(599 - 3)
  t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 200)
  plugin.store.advance(4)
  t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401)
})

t.test('the session that a route sees', async (t) => {
  t.test('has what the route needs, cannot be changed, and hides its credential', async (t) => {
    let session: Session | undefined
    const plugin = await loggedIn(t, { provider: { scope: 'openid' } }, (app) => {
      app.get('/me', { onRequest: app.pkce.requireSession() }, async (request) => {
        session = request.pkceSession
        return session
      })
    })
    const headers = { authorization: `Bearer ${plugin.tokens.access_token}` }
    const response = await plugin.app.inject({ url: '/me', headers })
    t.match(response.json(), {
      subject: 'alice',
      clientId: 'app',
      scope: ['orders.read', 'orders.write'],
      claims: { sub: 'alice' },
    })
    t.notMatch(response.body, 'provider-access')
    t.equal(session?.providerAuthorization, 'Bearer provider-access-1')
    t.throws(() => Object.assign(session!, { subject: 'mallory' }), TypeError)
    t.throws(() => Object.assign(session!.claims, { sub: 'mallory' }), TypeError)
    t.throws(() => (session!.scope as string[]).push('admin'), TypeError)
  })

  t.test('is not there on a route without requireSession: reading it throws', async (t) => {
    const plugin = await loggedIn(t, {}, (app) => {
      app.get('/open', async (request) => request.pkceSession)
    })
    const headers = { authorization: `Bearer ${plugin.tokens.access_token}` }
    const response = await plugin.app.inject({ url: '/open', headers })
    t.equal(response.statusCode, 500)
    t.match(response.body, 'request.pkceSession was read on a route without app.pkce.requireSession')
  })

  t.test('the Authorization value has the registered spelling, whatever the provider writes', async (t) => {
    const plugin = await startPluginApp(t)
    plugin.provider.behave.token = (_request, response) =>
      json(response, 200, { access_token: 'a', token_type: 'bEARER', expires_in: 3600 })
    const { access_token } = await plugin.login()
    t.match((await plugin.call(access_token)).json(), { authorization: 'Bearer a' })
  })
})

t.test('the cache costs nothing when warm and one read when cold (G-17)', async (t) => {
  t.test('cold 1 round trip, warm 0, and warm is synchronous', async (t) => {
    const answers: boolean[] = []
    const plugin = await loggedIn(t, {}, (app) => {
      app.get('/sync', async (request) => {
        const session = app.pkce.authenticate(request)
        answers.push(session instanceof Promise)
        return (await session).subject
      })
    })
    const headers = { authorization: `Bearer ${plugin.tokens.access_token}` }
    plugin.store.countCalls()
    await plugin.app.inject({ url: '/sync', headers })
    t.equal(plugin.store.countCalls(), 1)
    for (let i = 0; i < 10; i++) await plugin.app.inject({ url: '/sync', headers })
    t.equal(plugin.store.countCalls(), 0)
    t.same(answers, [true, ...Array<boolean>(10).fill(false)])
  })

  t.test('a change of the grant drops its entries, and no others', async (t) => {
    const plugin = await loggedIn(t)
    const other = await plugin.login()
    await plugin.call(plugin.tokens.access_token)
    await plugin.call(other.access_token)
    await plugin.post('revoke', { client_id: 'app', token: plugin.tokens.refresh_token })
    t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401)
    plugin.store.countCalls()
    t.equal((await plugin.call(other.access_token)).statusCode, 200)
    t.equal(plugin.store.countCalls(), 0)
  })

  t.test('while the notification channel is down every request reads the store', async (t) => {
    const plugin = await loggedIn(t)
    await plugin.call(plugin.tokens.access_token)
    plugin.store.gap()
    plugin.store.countCalls()
    await plugin.call(plugin.tokens.access_token)
    await plugin.call(plugin.tokens.access_token)
    t.equal(plugin.store.countCalls(), 2)
    await plugin.app.pkce.endSession({ grantId: (await grantIdOf(plugin))! })
    t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401)

    plugin.store.resume()
    const { access_token } = await plugin.login()
    await plugin.call(access_token)
    plugin.store.countCalls()
    await plugin.call(access_token)
    t.equal(plugin.store.countCalls(), 0, 'warm again')
  })

  t.test('a change that arrives while a read is under way is not lost', async (t) => {
    const plugin = await loggedIn(t)
    const grantId = (await grantIdOf(plugin))!
    const held = plugin.store.hold('read')
    const reading = plugin.call(plugin.tokens.access_token)
    await held.reached
    t.equal(await plugin.app.pkce.endSession({ grantId }), 1)
    held.release()
    await reading
    t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401)
  })

  t.test('a change that is missed in a gap is not lost by a read that began in it', async (t) => {
    const plugin = await loggedIn(t)
    const grantId = (await grantIdOf(plugin))!
    plugin.store.gap()
    const held = plugin.store.hold('read')
    const reading = plugin.call(plugin.tokens.access_token)
    await held.reached
    t.equal(await plugin.app.pkce.endSession({ grantId }), 1)
    plugin.store.resume()
    held.release()
    await reading
    t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401)
  })

  t.test('a failed read is not remembered', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.fail('read', 1)
    t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 503)
    t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 200)
  })

  t.test('tokens that are unknown cost one read each, and leave nothing behind', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.countCalls()
    await plugin.call(`pka_${'A'.repeat(64)}`)
    t.equal(plugin.store.countCalls(), 1)
    await plugin.call('garbage')
    await plugin.call('x'.repeat(68))
    await plugin.call('x'.repeat(8000))
    t.equal(plugin.store.countCalls(), 0, 'what is no handle is not looked up (K-03)')
  })
})

t.test('the cache by itself (G-17, K-05)', async (t) => {
  const session = (grantId: string, expiresAt = 1_000_000) =>
    new Session({
      grantId,
      clientId: 'app',
      subject: 's',
      scope: [],
      claims: {},
      expiresAt,
      tokenHash: '',
      providerAuthorization: '',
    })
  const put = (cache: SessionCache, hash: string, value: Session) => {
    const load = cache.beginLoad(value.grantId)
    load.finish(hash, value)
    load.end()
  }

  t.test('nothing is kept before the channel stands', async (t) => {
    const cache = new SessionCache(() => 0)
    put(cache, 'h', session('g'))
    t.equal(cache.get('h'), undefined)
    cache.onResume()
    put(cache, 'h', session('g'))
    t.equal(cache.get('h')?.grantId, 'g')
  })

  t.test('five seconds are the outer bound, should a notification be lost', async (t) => {
    let now = 0
    const cache = new SessionCache(() => now)
    cache.onResume()
    put(cache, 'h', session('g'))
    now = 4999
    t.ok(cache.get('h'))
    now = 5000
    t.equal(cache.get('h'), undefined)
  })

  t.test('never beyond the expiry of the token', async (t) => {
    let now = 0
    const cache = new SessionCache(() => now)
    cache.onResume()
    put(cache, 'h', session('g', 1000))
    now = 1000
    t.equal(cache.get('h'), undefined)
  })

  t.test('it is bounded: the least recently used go first', async (t) => {
    const cache = new SessionCache(() => 0, 3)
    cache.onResume()
    for (let i = 0; i < 100; i++) put(cache, `h${i}`, session(`g${i}`))
    t.equal(cache.get('h96'), undefined)
    t.ok(cache.get('h97') && cache.get('h98') && cache.get('h99'))
  })

  t.test('a grant with several tokens is dropped as a whole, also after one was evicted', async (t) => {
    const cache = new SessionCache(() => 0, 3)
    cache.onResume()
    for (const hash of ['a', 'b', 'c', 'd']) put(cache, hash, session('g'))
    put(cache, 'd', session('g'))
    cache.onChange('g')
    for (const hash of ['a', 'b', 'c', 'd']) t.equal(cache.get(hash), undefined)
  })

  t.test('of two reads under way, one before and one after a change, only the later is kept', async (t) => {
    const cache = new SessionCache(() => 0)
    cache.onResume()
    const before = cache.beginLoad('g')
    cache.onChange('g')
    const after = cache.beginLoad('g')
    before.finish('h', session('g'))
    before.end()
    t.equal(cache.get('h'), undefined)
    after.finish('h', session('g'))
    after.end()
    t.ok(cache.get('h'))
  })
})

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

t.test('userinfo during an outage is audited once (J-04)', async (t) => {
  const plugin = await loggedIn(t)
  plugin.store.fail()
  const headers = { authorization: `Bearer ${plugin.tokens.access_token}` }
  t.equal((await plugin.app.inject({ url: '/oauth2/userinfo', headers })).statusCode, 503)
  t.same(eventsOf(plugin), ['session.activated', 'store.unavailable'])
})

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

t.test('an audit listener that throws does not fail the request', async (t) => {
  const plugin = await startPluginApp(t)
  const warned = new Promise((resolve) => process.once('warning', resolve))
  plugin.app.pkce.events.on('session.activated', () => {
    throw new Error('a bug of the listener')
  })
  t.match(await plugin.login(), { access_token: /^pka_/ })
  t.match(await warned, { message: /a bug of the listener/ })
})

t.test('an audit listener that rejects, or throws no error, fails nothing either', async (t) => {
  const plugin = await startPluginApp(t)
  const warned: string[] = []
  const onWarning = ({ message }: Error) => warned.push(message)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  plugin.app.pkce.events.on('session.activated', async () => {
    throw new Error('the database is down')
  })
  plugin.app.pkce.events.on('*', () => {
    throw undefined
  })
  t.match(await plugin.login(), { access_token: /^pka_/ })
  await until(() => warned.length === 2)
  t.match(warned.join(), /not an Error/)
  t.match(warned.join(), /the database is down/)
})

t.test('an audit event and its log line say the same, and the line names its time once', async (t) => {
  const plugin = await loggedIn(t)
  const event = plugin.events[0]!
  t.match(event, {
    event: 'session.activated',
    time: /^\d{4}-\d\d-\d\dT/,
    clientId: 'app',
    requestId: String,
    address: '127.0.0.1',
  })
  const line = plugin
    .log()
    .split('\n')
    .find((text) => text.includes('session.activated'))!
  t.match(JSON.parse(line), { event: 'session.activated', clientId: 'app', grant: event.grant })
  t.equal(line.split('"time":').length, 2)
})

async function grantIdOf(plugin: PluginApp): Promise<string | undefined> {
  return (JSON.parse(plugin.store.written.at(-1)!) as { id?: string }).id
}
