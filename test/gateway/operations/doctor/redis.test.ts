/** What doctor finds of Redis, on real servers. Each finding is provoked. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { Finding } from '../../../../gateway/operations/doctor/finding.ts'
import { diagnoseStore } from '../../../../gateway/operations/doctor/store.ts'
import { selfSigned } from '../../../support/certificate.ts'
import { codes, subjectOf, told } from '../../../support/doctor.ts'
import { noRedis, startRelay } from '../../../support/redis-server.ts'
import { serverFor } from '../../../support/redis-store.ts'

const RANDOM = 'Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTAtYWJjZGVm'
const DURABLE = ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction']
const PASSWORD = 'k3Jx9vQ2mW8pLr5TzY7b'
const documented = /ACL SETUSER pkce on '>password' (.+)/
  .exec(readFileSync('docs/stores.md', 'utf8'))![1]!
  .trim()
  .split(/\s+/)

async function findingsOf(t: Test, url: string, more: { caFile?: string } = {}): Promise<Finding[]> {
  const findings = await diagnoseStore(
    subjectOf(t, { secrets: [RANDOM], store: { type: 'redis', url, ...more } }),
  )
  t.notMatch(JSON.stringify(findings), PASSWORD, 'no password is told')
  return findings
}

t.test('the memory store: what it means (Q-09)', async (t) => {
  told(t, await diagnoseStore(subjectOf(t)), 'store_memory', { found: /at most 100000 records/ })
  const away = subjectOf(t, { publicUrl: 'https://api.example.com' })
  told(t, await diagnoseStore(away), 'store_memory_public', {
    found: /publicUrl is no loopback address/,
    advice: /store\.type redis or postgres/,
  })
})

t.test('Redis, on real servers', { skip: noRedis }, async (t) => {
  t.jobs = 4

  t.test('a sound one, of the documented user (Q-09)', { buffered: true }, async (t) => {
    const { port } = await serverFor(t, DURABLE)
    const admin = new Redis(port, '127.0.0.1')
    t.teardown(() => admin.disconnect())
    await admin.call('ACL', 'SETUSER', 'pkce', 'on', `>${PASSWORD}`, ...documented)
    const url = `redis://pkce:${PASSWORD}@127.0.0.1:${port}`
    const sound = await findingsOf(t, url)
    t.same(codes(sound), ['store_answers', 'store_notifies'])
    told(t, sound, 'store_answers', {
      found: /^(?:Redis|Valkey) [\d.]+ takes writes and answers in [\d.]+ ms/,
    })
    told(t, sound, 'store_notifies', { found: /^Changes are heard/ })
    t.same(await admin.keys('*'), [], 'and leaves nothing behind')

    for (const command of ['hset', 'zadd', 'publish', 'subscribe', 'time', 'evalsha']) {
      await admin.call('ACL', 'SETUSER', 'pkce', `-${command}`)
      told(t, await findingsOf(t, url), 'store_permission', {
        found: new RegExp(`the user may not run ${command}: grant \\+${command}`),
        advice: /docs\/stores\.md/,
      })
      await admin.call('ACL', 'SETUSER', 'pkce', `+${command}`)
    }
    await admin.call('ACL', 'SETUSER', 'pkce', '-hset', '-get', '-incr')
    told(t, await findingsOf(t, url), 'store_permission', {
      found: /may not run get, hset, incr: grant \+get \+hset \+incr/,
      advice: /^Grant it/,
    })
    await admin.call('ACL', 'SETUSER', 'pkce', '+hset', '+get', '+incr', 'resetkeys')
    told(t, await findingsOf(t, url), 'store_permission', { found: /grant ~<prefix>\*/, advice: /^Grant it/ })

    await admin.call('ACL', 'SETUSER', 'pkce', '~pkce:*', '-info')
    const blind = await findingsOf(t, url)
    told(t, blind, 'store_warning', { found: /^INFO is not permitted/, advice: /docs\/stores\.md/ })
    told(t, blind, 'store_answers', { found: /^The server takes writes/ })
  })

  t.test('one that evicts and forgets (Q-09)', { buffered: true }, async (t) => {
    const { url } = await serverFor(t, ['--maxmemory-policy', 'allkeys-lru'])
    const findings = await findingsOf(t, url)
    told(t, findings, 'store_evicts', { found: /maxmemory-policy/, advice: /`maxmemory-policy noeviction`/ })
    told(t, findings, 'store_forgets', { found: /appendonly is off/, advice: /`appendonly yes`/ })
  })

  t.test('a replica, and a node of a Cluster (Q-09)', { buffered: true }, async (t) => {
    const { port } = await serverFor(t)
    const replica = await serverFor(t, ['--replicaof', '127.0.0.1', String(port)])
    told(t, await findingsOf(t, replica.url), 'store_read_only', {
      found: /the server is a read replica/,
      advice: /primary/,
    })
    const node = await serverFor(t, ['--cluster-enabled', 'yes'])
    told(t, await findingsOf(t, node.url), 'store_refused', {
      found: /is a node of a Cluster/,
      advice: /store\.url/,
    })
  })

  t.test('a full one (Q-09)', { buffered: true }, async (t) => {
    const { url, port } = await serverFor(t, DURABLE)
    const admin = new Redis(port, '127.0.0.1')
    t.teardown(() => admin.disconnect())
    await admin.config('SET', 'maxmemory', '1')
    told(t, await findingsOf(t, url), 'store_refused', {
      found: /memory limit \(OOM\)/,
      advice: /store\.url/,
    })
  })

  t.test('a wrong password, a wrong port, a slow way (Q-09)', { buffered: true }, async (t) => {
    const server = await serverFor(t, ['--requirepass', 'right', ...DURABLE])
    told(t, await findingsOf(t, `redis://:${PASSWORD}@127.0.0.1:${server.port}`), 'store_credentials', {
      found: /WRONGPASS/,
      advice: /store\.urlFile/,
    })
    told(t, await findingsOf(t, `redis://:${PASSWORD}@127.0.0.1:1`), 'store_unreachable', {
      found: /^It cannot be reached: the connection was refused \(ECONNREFUSED\)\.$/,
      advice: /store\.url/,
    })
    const slow = await slowRelay(t, server.port, 60)
    told(t, await findingsOf(t, `redis://:right@127.0.0.1:${slow}`), 'store_slow', {
      found: /answers in \d\d\d?(?:\.\d)? ms\.$/,
      advice: /store\.url/,
    })
  })

  t.test('TLS to it, of an authority that nobody knows (Q-09)', { buffered: true }, async (t) => {
    const { cert, key } = selfSigned('localhost')
    const folder = t.testdir({ 'cert.pem': cert, 'key.pem': key })
    const files = ['--tls-cert-file', join(folder, 'cert.pem'), '--tls-key-file', join(folder, 'key.pem')]
    const relay = await startRelay(1)
    t.teardown(() => relay.stop())
    // A port that was free a moment ago.
    await relay.stop()
    const tls = ['--tls-port', String(relay.port), '--tls-auth-clients', 'no']
    await serverFor(t, [...tls, ...files, '--tls-ca-cert-file', join(folder, 'cert.pem'), ...DURABLE])
    const url = `rediss://127.0.0.1:${relay.port}`
    told(t, await findingsOf(t, url), 'store_untrusted', {
      found: /certificate is not trusted/,
      advice: /store\.caFile/,
    })
    t.same(codes(await findingsOf(t, url, { caFile: join(folder, 'cert.pem') })), [
      'store_answers',
      'store_notifies',
    ])
  })
})

t.test('one that is too old (Q-09)', async (t) => {
  const info = 'redis_version:6.0.16\r\nrole:master\r\n'
  const old = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => {
      for (const command of data.toString().match(/hello|\binfo|client/gi) ?? []) {
        if (/info/i.test(command)) socket.write(`$${info.length}\r\n${info}\r\n`)
        else socket.write('-ERR unknown command `HELLO`\r\n')
      }
    })
  })
  await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve))
  t.teardown(() => old.close())
  const address = old.address()
  const port = typeof address === 'object' ? address?.port : 0
  told(t, await findingsOf(t, `redis://127.0.0.1:${port}`), 'store_old', {
    found: /^Redis 6\.0\.16 is older than 6\.2\.$/,
    advice: /^Update the server/,
  })
})

/** A relay that holds each answer back. @returns its port. */
async function slowRelay(t: Test, target: number, ms: number): Promise<number> {
  const { connect } = await import('node:net')
  const relay = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    near.on('error', () => {}).on('close', () => far.destroy())
    far.on('error', () => {}).on('close', () => near.destroy())
    near.pipe(far)
    far.on('data', (chunk) => setTimeout(() => near.destroyed || near.write(chunk), ms))
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  t.teardown(() => relay.close())
  const address = relay.address()
  return typeof address === 'object' ? (address?.port ?? 0) : 0
}
