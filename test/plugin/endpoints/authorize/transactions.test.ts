import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import {
  lastRecord,
  refusedLocally,
  startManyClients,
  validQuery,
} from '../../../support/authorize-requests.ts'
import { CHALLENGE, REDIRECT_URI, startPluginApp } from '../../../support/plugin-app.ts'

const { plugin, store, provider, get } = await startManyClients(t)

t.test('the record holds hashes and sealed text alone (RFC 6819 §5.1.4.1.3, A-19)', async (t) => {
  const { state, cookie, location } = await plugin.authorize()
  const record = JSON.stringify(lastRecord(store))
  t.match(lastRecord(store), {
    status: 'authorizing',
    clientId: 'app',
    redirectUri: REDIRECT_URI,
    codeChallenge: CHALLENGE,
    state: 'app-state',
    scope: ['orders.read', 'orders.write'],
    provider: provider.issuer,
  })
  for (const secret of [
    state,
    state.slice(26),
    cookie.split('=')[1]!,
    new URL(location).searchParams.get('nonce')!,
  ]) {
    t.notOk(record.includes(secret))
  }
})

t.test('store down: 503, nothing to the provider, no cookie (RFC 6749 §4.1.2.1, A-19, G-08)', async (t) => {
  const asked = provider.requests.length
  store.fail('create')
  t.teardown(() => store.heal())
  const response = await get(validQuery)
  refusedLocally(t, response, 503)
  t.ok(Number(response.headers['retry-after']) > 0)
  t.equal(provider.requests.length, asked)
  t.ok(plugin.events.some(({ event }) => event === 'store.unavailable'))
})

t.test('outstanding logins are capped, and a flood pushes none out (RFC 6819 §4.4.1.11, A-20)', async (t) => {
  const plugin = await startPluginApp(t, { limits: { transactionsPerAddress: 3, transactions: 5 } })
  const from = (remoteAddress: string) =>
    plugin.app.inject({ url: `/oauth2/authorize?${validQuery}`, remoteAddress })

  const first = await plugin.authorize()
  for (let login = 0; login < 2; login++) t.equal((await from('127.0.0.1')).statusCode, 302)
  for (let flood = 0; flood < 20; flood++) {
    const response = await from('127.0.0.1')
    refusedLocally(t, response, 429)
    t.ok(Number(response.headers['retry-after']) > 0)
  }
  t.equal(plugin.store.calls.create, 3, 'the store is not asked for what is refused')

  t.equal((await from('2001:db8:1:2::1')).statusCode, 302, 'another address')
  t.equal((await from('2001:db8:1:2:ffff::9')).statusCode, 302)
  refusedLocally(t, await from('2001:db8:9::1'), 503, 'all logins')
  t.equal((await plugin.callback(first)).statusCode, 302, 'the one that began before completes')
  t.equal((await from('2001:db8:1:2::3')).statusCode, 302, 'and makes room')
  plugin.store.advance(601)
  t.equal((await from('127.0.0.1')).statusCode, 302, 'what expires makes room')
})

t.test('addresses count by the /64, and a mapped one as what it stands for (A-20)', async (t) => {
  const plugin = await startPluginApp(t, { limits: { transactionsPerAddress: 2 } })
  const from = async (remoteAddress: string) =>
    (await plugin.app.inject({ url: `/oauth2/authorize?${validQuery}`, remoteAddress })).statusCode
  t.same(
    [await from('2001:db8::1'), await from('2001:db8::ffff'), await from('2001:db8:0:0:1::')],
    [302, 302, 429],
  )
  t.same([await from('10.0.0.1'), await from('::ffff:10.0.0.1'), await from('10.0.0.1')], [302, 302, 429])
  t.equal(await from('2001:db8:0:1::1'), 302, 'the next /64')
  t.equal(await from('fe80::1%eth0'), 302, 'a zone is no error')
})

t.test('what ends without a login gives its place back (A-20)', async (t) => {
  const plugin = await startPluginApp(t, { limits: { transactionsPerAddress: 1 } })
  plugin.store.fail('create', 1)
  t.equal((await plugin.authorize()).response.statusCode, 503)
  for (const query of [{ error: 'access_denied' }, { iss: 'https://evil.example' }, {}] as const) {
    const authorized = await plugin.authorize()
    t.equal(authorized.response.statusCode, 302)
    await plugin.callback(authorized, query)
  }
  t.equal((await plugin.authorize()).response.statusCode, 302)
})

t.test('behind a unix socket there are no addresses, and logins work (A-20, J-05)', async (t) => {
  const plugin = await startPluginApp(t, { rateLimit: { authorize: { max: 2 } } })
  const socketPath = join(mkdtempSync(join(tmpdir(), 'pkce-')), 'http.sock')
  t.teardown(() => rmSync(dirname(socketPath), { recursive: true }))
  await plugin.app.listen({ path: socketPath })
  const status = () =>
    new Promise<number | undefined>((resolve, reject) => {
      httpRequest({ socketPath, path: `/oauth2/authorize?${validQuery}`, agent: false }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
  t.same([await status(), await status(), await status()], [302, 302, 429])
})
