/** What doctor finds of PostgreSQL, on a real server. Each finding is provoked. */
import t, { type Test } from 'tap'
import type { Finding } from '../../../../gateway/operations/doctor/finding.ts'
import { diagnoseStore, ofVersion } from '../../../../gateway/operations/doctor/store.ts'
import { postgresDdl } from '../../../../plugin/stores/postgres/index.ts'
import { codes, subjectOf, told } from '../../../support/doctor.ts'
import { startPgBouncer } from '../../../support/pgbouncer.ts'
import { withPostgres } from '../../../support/postgres-store.ts'

const RANDOM = 'Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTAtYWJjZGVm'
const PASSWORD = 'k3Jx9vQ2mW8pLr5TzY7b'

async function findingsOf(t: Test, url: string, more: { listenUrl?: string } = {}): Promise<Finding[]> {
  const findings = await diagnoseStore(
    subjectOf(t, { secrets: [RANDOM], store: { type: 'postgres', url, ...more } }),
  )
  t.notMatch(JSON.stringify(findings), PASSWORD, 'no password is told')
  return findings
}

t.test('the version that the store needs (Q-09)', async (t) => {
  told(t, ofVersion('PostgreSQL 12.4'), 'store_old', {
    found: /^PostgreSQL 12\.4 is older than 13\.$/,
    advice: /./,
  })
  t.same(ofVersion('PostgreSQL 13.0'), [])
})

await withPostgres(t, (server, admin) => {
  t.test('a sound one (Q-09)', async (t) => {
    const findings = await findingsOf(t, server.url())
    t.same(codes(findings), ['store_answers', 'store_notifies'])
    told(t, findings, 'store_answers', { found: /^PostgreSQL [\d.]+ takes writes and answers in [\d.]+ ms/ })
  })

  t.test('a role that lacks a grant, each by its name (Q-09)', async (t) => {
    await admin.query(`CREATE ROLE limited LOGIN PASSWORD '${PASSWORD}'`)
    const url = server.url('limited', PASSWORD)
    told(t, await findingsOf(t, url), 'store_permission', {
      found: /schema pkce/,
      advice: /docs\/stores\.md/,
    })
    for (const [grant] of postgresDdl().matchAll(/GRANT .*;/g)) {
      await admin.query(grant.replace('the_role', 'limited'))
    }
    t.same(codes(await findingsOf(t, url)), ['store_answers', 'store_notifies'])
    await admin.query('REVOKE DELETE ON pkce.records FROM limited')
    await admin.query('REVOKE INSERT ON pkce.index_members FROM limited')
    told(t, await findingsOf(t, url), 'store_permission', {
      found: /DELETE on records, INSERT on index_members/,
      advice: /^Grant it/,
    })
    told(t, await findingsOf(t, server.url('limited', 'wrong')), 'store_credentials', {
      found: /28P01/,
      advice: /store\.url/,
    })
  })

  t.test('another place to listen has failures of its own (Q-09)', async (t) => {
    const findings = await findingsOf(t, server.url(), { listenUrl: server.url('postgres', 'wrong') })
    told(t, findings, 'store_credentials', {
      found: /28P01/,
      advice: /in store\.listenUrl or store\.listenUrlFile/,
    })
    t.ok(codes(findings).includes('store_answers'), 'the rest is sound')
  })

  t.test('one that is read only, and one that is asleep (Q-09)', async (t) => {
    await admin.query(`CREATE ROLE reader SUPERUSER LOGIN PASSWORD '${PASSWORD}'`)
    await admin.query('ALTER ROLE reader SET default_transaction_read_only = on')
    told(t, await findingsOf(t, server.url('reader', PASSWORD)), 'store_read_only', {
      found: /read-only/,
      advice: /primary/,
    })
    const standby = await server.standby()
    t.teardown(() => standby.stop())
    told(t, await findingsOf(t, standby.url()), 'store_read_only', { found: /replica/, advice: /primary/ })
    told(t, await findingsOf(t, 'postgres://127.0.0.1:1/postgres'), 'store_unreachable', {
      found: /ECONNREFUSED/,
      advice: /store\.url/,
    })
    await admin.query(`CREATE ROLE careless SUPERUSER LOGIN PASSWORD '${PASSWORD}'`)
    await admin.query('ALTER ROLE careless SET synchronous_commit = off')
    told(t, await findingsOf(t, server.url('careless', PASSWORD)), 'store_warning', {
      found: /^Synchronous_commit is off/,
      advice: /docs\/stores\.md/,
    })
  })

  t.test('tables of another version, and none (Q-09)', async (t) => {
    const url = server.url()
    await admin.query('UPDATE pkce.schema_version SET version = 0')
    told(t, await findingsOf(t, url), 'store_tables', {
      found: /an older version/,
      advice: /pkce-gateway migrate/,
    })
    await admin.query('UPDATE pkce.schema_version SET version = 2')
    told(t, await findingsOf(t, url), 'store_tables', { found: /a newer version/, advice: /same version/ })
    await admin.query('UPDATE pkce.schema_version SET version = 1')
    const other = new URL(url)
    other.pathname = '/template1'
    told(t, await findingsOf(t, other.href), 'store_tables', { found: /are missing/, advice: /migrate/ })
  })

  t.test('a pooler that swallows notifications (Q-09)', async (t) => {
    const pooler = await startPgBouncer(server).catch((error: Error) => error)
    if (pooler instanceof Error) {
      t.pass('pooler', { skip: pooler.message })
      return
    }
    t.teardown(() => pooler.stop())
    told(t, await findingsOf(t, pooler.url, { listenUrl: pooler.url }), 'store_deaf', {
      found: /PgBouncer/,
      advice: /store\.listenUrl/,
    })
    const listening = await findingsOf(t, pooler.url, { listenUrl: server.url() })
    t.same(codes(listening).slice(-2), ['store_answers', 'store_notifies'])
  })
})
