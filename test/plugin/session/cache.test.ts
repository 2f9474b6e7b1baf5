import t from 'tap'
import { SessionCache } from '../../../plugin/session/cache.ts'
import { Session } from '../../../plugin/session/session.ts'
import { grantIdOf, loggedIn } from '../../support/logged-in.ts'
import { testStore } from '../../support/plugin-app.ts'

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

  const readsAfter = async (plugin: Awaited<ReturnType<typeof loggedIn>>, seconds: number) => {
    plugin.store.advance(seconds)
    plugin.store.countCalls()
    await plugin.call(plugin.tokens.access_token)
    return plugin.store.countCalls()
  }

  t.test('five minutes by default, and as long as the option says', async (t) => {
    const plugin = await loggedIn(t)
    await plugin.call(plugin.tokens.access_token)
    t.equal(await readsAfter(plugin, 299), 0)
    t.equal(await readsAfter(plugin, 1), 1)

    const brief = await loggedIn(t, { session: { cacheSeconds: 60 } })
    await brief.call(brief.tokens.access_token)
    t.equal(await readsAfter(brief, 59), 0)
    t.equal(await readsAfter(brief, 1), 1)

    const none = await loggedIn(t, { session: { cacheSeconds: 0 } })
    await none.call(none.tokens.access_token)
    t.equal(await readsAfter(none, 0), 1)
  })

  t.test('five seconds where nothing proves that a change would be told', async (t) => {
    const store = new Proxy(testStore(), {
      get: (target, name) => (name === 'provedUntil' ? undefined : Reflect.get(target, name)),
    })
    const unproved = await loggedIn(t, { store })
    await unproved.call(unproved.tokens.access_token)
    t.equal(await readsAfter(unproved, 4), 0)
    t.equal(await readsAfter(unproved, 1), 1)
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
      issuer: 'https://login.example.com',
      subject: 's',
      scope: [],
      claims: {},
      expiresAt,
      tokenHash: '',
      providerAuthorization: '',
    })
  const clockAt = (now: () => number, provedUntil = () => Number.POSITIVE_INFINITY) => ({ now, provedUntil })
  const put = (cache: SessionCache, hash: string, value: Session) => {
    const load = cache.beginLoad(value.grantId)
    load.finish(hash, value)
    load.end()
  }

  t.test('nothing is kept before the channel stands', async (t) => {
    const cache = new SessionCache(clockAt(() => 0))
    put(cache, 'h', session('g'))
    t.equal(cache.get('h'), undefined)
    cache.onResume()
    put(cache, 'h', session('g'))
    t.equal(cache.get('h')?.grantId, 'g')
  })

  t.test('five seconds are the outer bound, should a notification be lost', async (t) => {
    let now = 0
    const cache = new SessionCache(clockAt(() => now))
    cache.onResume()
    put(cache, 'h', session('g'))
    now = 4999
    t.ok(cache.get('h'))
    now = 5000
    t.equal(cache.get('h'), undefined)
  })

  t.test('what is kept longer is not served while nothing proves that a change was told', async (t) => {
    let now = 0
    let proved = 2000
    const cache = new SessionCache(
      clockAt(
        () => now,
        () => proved,
      ),
      { ageMs: 300_000 },
    )
    cache.onResume()
    put(cache, 'h', session('g'))
    now = 1999
    t.ok(cache.get('h'))
    now = 2000
    t.equal(cache.get('h'), undefined, 'a process that stood still does not know what it missed')
    proved = 4000
    t.ok(cache.get('h'), 'proved again: whatever was told before the proof has arrived before it')
    now = 300_000
    proved = 302_000
    t.equal(cache.get('h'), undefined)
  })

  t.test('0 keeps nothing', async (t) => {
    const cache = new SessionCache(
      clockAt(() => 0),
      { ageMs: 0 },
    )
    cache.onResume()
    put(cache, 'h', session('g'))
    t.equal(cache.get('h'), undefined)
  })

  t.test('its bytes are bounded, too (K-05)', async (t) => {
    const cache = new SessionCache(
      clockAt(() => 0),
      { bytes: 10_000 },
    )
    cache.onResume()
    for (let i = 0; i < 100; i++) put(cache, `h${i}`, session(`g${i}`))
    const kept = Array.from({ length: 100 }, (_, i) => cache.get(`h${i}`)).filter(Boolean).length
    t.ok(kept > 5 && kept < 10, `${kept} are kept`)
    t.ok(cache.get('h99'))
    for (let i = 0; i < 100; i++) cache.onChange(`g${i}`)
    put(cache, 'small', session('g'))
    t.ok(cache.get('small'), 'what has left leaves its bytes')
    put(
      cache,
      'large',
      new Session({ ...session('g2'), tokenHash: '', providerAuthorization: 'x'.repeat(20_000) }),
    )
    t.equal(cache.get('large'), undefined)
    put(cache, 'small', session('g'))
    t.ok(cache.get('small'))
  })

  t.test('never beyond the expiry of the token', async (t) => {
    let now = 0
    const cache = new SessionCache(clockAt(() => now))
    cache.onResume()
    put(cache, 'h', session('g', 1000))
    now = 1000
    t.equal(cache.get('h'), undefined)
  })

  t.test('it is bounded: the least recently used go first', async (t) => {
    const cache = new SessionCache(
      clockAt(() => 0),
      { sessions: 3 },
    )
    cache.onResume()
    for (let i = 0; i < 100; i++) put(cache, `h${i}`, session(`g${i}`))
    t.equal(cache.get('h96'), undefined)
    t.ok(cache.get('h97') && cache.get('h98') && cache.get('h99'))
  })

  t.test('a grant with several tokens is dropped as a whole, also after one was evicted', async (t) => {
    const cache = new SessionCache(
      clockAt(() => 0),
      { sessions: 3 },
    )
    cache.onResume()
    for (const hash of ['a', 'b', 'c', 'd']) put(cache, hash, session('g'))
    put(cache, 'd', session('g'))
    cache.onChange('g')
    for (const hash of ['a', 'b', 'c', 'd']) t.equal(cache.get(hash), undefined)
  })

  t.test('a session of several grants is dropped by a change of any of them', async (t) => {
    const cache = new SessionCache(clockAt(() => 0))
    cache.onResume()
    const putShared = (...grantIds: string[]) => {
      const load = cache.beginLoad(...grantIds)
      load.finish('h', session('a'))
      load.end()
    }
    for (const changed of ['a', 'b']) {
      putShared('a', 'b')
      t.ok(cache.get('h'))
      cache.onChange(changed)
      t.equal(cache.get('h'), undefined)
    }
    putShared('a', 'b')
    putShared('a')
    cache.onChange('b')
    t.ok(cache.get('h'), 'no longer one of them')
    cache.forget('h')
    t.equal(cache.get('h'), undefined)

    const load = cache.beginLoad('a', 'b')
    cache.onChange('b')
    load.finish('h', session('a'))
    load.end()
    t.equal(cache.get('h'), undefined, 'nor is it kept if one of them changes meanwhile')
  })

  t.test('of two reads under way, one before and one after a change, only the later is kept', async (t) => {
    const cache = new SessionCache(clockAt(() => 0))
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
