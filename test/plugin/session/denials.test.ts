import t from 'tap'
import { Audit } from '../../../plugin/grant/audit.ts'
import type { AuditEvent } from '../../../plugin/grant/audit-events.ts'
import { correlationId } from '../../../plugin/grant/indexes.ts'
import { OAuthError, StoreError } from '../../../plugin/index.ts'
import { createAuthenticate } from '../../../plugin/session/authenticate.ts'
import { DpopProofs } from '../../../plugin/session/dpop/proofs.ts'
import { Session } from '../../../plugin/session/session.ts'

const session = new Session({
  grantId: 'grant',
  clientId: 'app',
  issuer: 'https://login.example.com',
  subject: 'alice',
  scope: ['orders.read'],
  claims: { sub: 'alice' },
  expiresAt: Number.MAX_SAFE_INTEGER,
  tokenHash: 'hash',
  providerAuthorization: 'Bearer provider-token',
})

/** The check, a request that counts how often it is asked for its address, and what was recorded. */
function setUp(resolve: () => Session | Promise<Session>) {
  const lines: [level: string, fields: object, message: string][] = []
  const log = {
    info: (fields: object, message: string) => lines.push(['info', fields, message]),
    warn: (fields: object, message: string) => lines.push(['warn', fields, message]),
  }
  const audit = new Audit(log)
  const events: AuditEvent[] = []
  audit.events.on('*', (event) => events.push(event))
  const counts = { ip: 0 }
  const request = {
    id: 'request-1',
    get ip() {
      counts.ip++
      return '192.0.2.1'
    },
    log,
    raw: { rawHeaders: ['Authorization', 'Bearer good'], url: '/' },
  }
  const authenticate = createAuthenticate({
    sessions: { resolve },
    ...{ proofs: noProofs(), audit, realm: 'realm', now: Date.now },
  })
  return { authenticate: (scopes: string[]) => authenticate(request, scopes), lines, events, counts }
}

/** No client has anything to do with DPoP. */
function noProofs(): DpopProofs {
  return new DpopProofs(
    { publicUrl: 'https://a.example', clients: new Map(), secrets: [Buffer.alloc(32)] },
    Date.now,
  )
}

async function refusalOf(check: () => unknown): Promise<unknown> {
  try {
    return await check()
  } catch (error) {
    return error
  }
}

const refuse = (error: Error) => () => {
  throw error
}
const unknown = new OAuthError('token_unknown')
const refusals: [what: string, resolve: () => Session | Promise<Session>, reason: string][] = [
  ['a refusal at once', refuse(unknown), 'token_unknown'],
  ['a refusal after a look-up', () => Promise.reject(unknown), 'token_unknown'],
  ['a scope that a cached session lacks', () => session, 'scope_insufficient'],
  ['a scope that a session lacks that was looked up', () => Promise.resolve(session), 'scope_insufficient'],
]
for (const [what, resolve, reason] of refusals) {
  t.test(`${what} is recorded once, with its request and address (J-04)`, async (t) => {
    const { authenticate, lines, events } = setUp(resolve)
    t.match(await refusalOf(() => authenticate(['orders.write'])), { reason })
    const fields = { event: 'forward.denied', reason, requestId: 'request-1', address: '192.0.2.1' }
    const isKnown = reason === 'scope_insufficient'
    const known = isKnown ? { clientId: 'app', grant: correlationId('grant') } : {}
    t.same(lines, [['info', { ...fields, ...known }, 'forward.denied']])
    const who = isKnown ? { grantId: 'grant', issuer: 'https://login.example.com', subject: 'alice' } : {}
    const { time, ...told } = events[0]!
    t.type(time, 'string')
    t.same(told, { ...fields, ...known, ...who })
    t.equal(events.length, 1)
  })
}

t.test('a store that cannot answer is recorded as such, and is no denial (G-08, J-04)', async (t) => {
  const { authenticate, events } = setUp(() => Promise.reject(new StoreError('memory', 'read', 'is down')))
  t.match(await refusalOf(() => authenticate([])), { reason: 'store_unavailable', statusCode: 503 })
  t.same(
    events.map(({ event }) => event),
    ['store.unavailable'],
  )
})

t.test('the address of a request that passes is not asked for', async (t) => {
  const { authenticate, counts, lines } = setUp(() => session)
  t.equal(authenticate(['orders.read']), session)
  t.equal(counts.ip, 0)
  t.same(lines, [])
})

t.test('the audit trail has listeners, and nobody but the plugin adds to it (J-04)', async (t) => {
  const { events } = new Audit({ info: () => {}, warn: () => {} })
  t.same(new Set(Object.keys(events)), new Set(['on', 'off']))
  t.equal('emit' in events, false)
})
