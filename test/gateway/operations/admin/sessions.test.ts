/** What an operator asks of the sessions, in an app that has some. */
import fastify from 'fastify'
import t, { type Test } from 'tap'
import { manageSessions, type SessionRequest } from '../../../../gateway/operations/admin/sessions.ts'
import { correlationId } from '../../../../plugin/api/internal.ts'
import { testSession } from '../../../../plugin/api/testing.ts'
import pkce, { memoryStore, type PkceOptions } from '../../../../plugin/index.ts'
import { least } from '../../../support/plugin-options.ts'

const list = (query: Partial<Extract<SessionRequest, { action: 'list' }>['query']>): SessionRequest => ({
  action: 'list',
  query: { of: 'alice', limit: 100, ...query },
})

t.test("a subject's sessions in pages: each once, and no more reads than asked for (S-01)", async (t) => {
  const { app, store } = await start(t)
  for (let n = 0; n < 5; n++) await testSession(app, { subject: 'alice' })
  await testSession(app, { subject: 'bob' })
  const seen: string[] = []
  const sizes: number[] = []
  let after: string | undefined
  do {
    store.reads = 0
    const outcome = await manageSessions(app, list({ limit: 2, after }))
    if (!('sessions' in outcome)) throw new Error('refused')
    t.ok(store.reads <= 2, `${store.reads} reads`)
    sizes.push(outcome.sessions.length)
    for (const session of outcome.sessions) {
      t.match(session, { subject: 'alice', grant: correlationId(session.grantId) })
      seen.push(session.grantId)
    }
    after = outcome.next
  } while (after !== undefined)
  t.same(sizes, [2, 2, 1])
  t.equal(new Set(seen).size, 5)
})

t.test('the digits of a log line find the session, and end it (S-01, J-01)', async (t) => {
  const { app } = await start(t)
  for (let n = 0; n < 3; n++) await testSession(app, { subject: 'alice' })
  const [, one] = await app.pkce.sessionsOf('alice')
  const { grant, grantId } = one!
  t.match(await manageSessions(app, list({ of: { grant } })), { sessions: [{ grantId, grant }] })
  t.same(await manageSessions(app, { action: 'end', target: { grant } }), { ended: 1 })
  t.same(await manageSessions(app, { action: 'end', target: { grant } }), { ended: 0 })
  t.same(await manageSessions(app, list({ of: { grant } })), { sessions: [] })
  t.match(await manageSessions(app, list({})), { sessions: { length: 2 } })
})

t.test('several providers: the issuer is asked for, by name (S-01, M-05)', async (t) => {
  const { provider, ...rest } = least()
  const issuers = ['https://one.example', 'https://two.example']
  const [one, two] = issuers.map((issuer) => ({ ...provider, issuer }))
  const { app } = await start(t, { ...rest, providers: { one: one!, two: two! } })
  await testSession(app, { subject: 'alice', provider: 'one' })
  await testSession(app, { subject: 'alice', provider: 'two' })
  const refused = {
    refused: 'target',
    message: `issuer is required: there are several providers (${issuers.join(', ')})`,
  }
  t.same(await manageSessions(app, list({})), refused)
  t.same(await manageSessions(app, { action: 'end', target: { subject: 'alice' } }), refused)
  t.match(await manageSessions(app, list({ issuer: 'https://three.example' })), {
    refused: 'target',
    message: /is no provider here/,
  })
  t.match(await manageSessions(app, list({ issuer: issuers[0] })), { sessions: [{ issuer: issuers[0] }] })
  const target = { subject: 'alice', issuer: issuers[1]! }
  t.same(await manageSessions(app, { action: 'end', target }), { ended: 1 })
  t.same(await manageSessions(app, { action: 'end', target }), { ended: 0 })
  t.match(await manageSessions(app, list({ issuer: issuers[0] })), { sessions: { length: 1 } }, 'two people')
})

t.test('a store that is away: nobody can tell now (S-01)', async (t) => {
  const { app, store } = await start(t)
  const { session } = await testSession(app, { subject: 'alice' })
  t.type(session.subject, 'string')
  const [{ grantId } = { grantId: '' }] = await app.pkce.sessionsOf('alice')
  await store.close()
  const refused = { refused: 'unavailable', message: /closed/ }
  t.match(await manageSessions(app, list({})), refused)
  t.match(await manageSessions(app, { action: 'end', target: { grantId } }), refused)
})

/** An app whose store counts the reads of records. */
async function start(t: Test, options: Omit<PkceOptions, 'store'> = least()) {
  const store = Object.assign(memoryStore(), { reads: 0 })
  const read = store.read.bind(store)
  store.read = (key) => {
    store.reads++
    return read(key)
  }
  const app = fastify()
  t.teardown(async () => {
    await app.close()
    await store.close()
  })
  await app.register(pkce, { ...options, store } as PkceOptions)
  await app.ready()
  return { app, store }
}
