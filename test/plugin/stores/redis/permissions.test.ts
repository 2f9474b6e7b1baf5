/** What the user needs, as docs/stores.md has it, and that what is missing is told by its name. */
import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createRedisClient } from '../../../../plugin/stores/redis/client.ts'
import { checkRedis } from '../../../../plugin/stores/redis/index.ts'
import { noRedis } from '../../../support/redis-server.ts'
import { contract, notes, open, serverFor } from '../../../support/redis-store.ts'

const documented = /ACL SETUSER pkce on '>password' (.+)/
  .exec(readFileSync('docs/stores.md', 'utf8'))?.[1]
  ?.trim()
  .split(/\s+/)

/** A server with the documented user, changed by further rules. */
async function userFor(t: Test, ...rules: string[]) {
  const server = await serverFor(t)
  const admin = new Redis(server.port, '127.0.0.1')
  t.teardown(() => admin.disconnect())
  await admin.call('ACL', 'SETUSER', 'pkce', 'on', '>password', ...documented!, ...rules)
  return { admin, url: `redis://pkce:password@127.0.0.1:${server.port}`, port: server.port }
}

t.test('the permissions of the Redis store', { skip: noRedis }, async (t) => {
  t.jobs = 4
  if (documented === undefined) throw new Error('docs/stores.md has no ACL')

  t.test('the documented ones are enough for everything (Q-08)', { buffered: true }, async (t) => {
    const { url } = await userFor(t)
    const client = createRedisClient({ url })
    t.teardown(() => client.disconnect())
    t.notMatch(await checkRedis(client), [/not permitted/])
    t.jobs = 4
    contract(t, 'redisStore of a user with the documented permissions', () => createRedisClient({ url }))
  })

  for (const [missing, rules, told] of [
    ['a command', ['-zadd'], /the user may not run zadd: grant \+zadd \(NOPERM\)/],
    [
      'several commands',
      ['-hset', '-zadd', '-publish'],
      /the user may not run hset, zadd, publish: grant \+hset \+zadd \+publish \(NOPERM\)/,
    ],
    ['scripts', ['-evalsha', '-eval'], /the user may not run evalsha: grant \+evalsha \(NOPERM\)/],
    ['publish', ['-publish'], /the user may not run publish: grant \+publish \(NOPERM\)/],
    ['subscribe', ['-subscribe'], /the user may not run subscribe: grant \+subscribe \(NOPERM\)/],
    [
      'channels',
      ['resetchannels'],
      /the user may not use the store's channels: grant &<prefix>\* \(NOPERM\)/,
    ],
    [
      'keys',
      ['resetkeys', '~other:*'],
      /the user may not use the store's keys: grant ~<prefix>\* \(NOPERM\)/,
    ],
  ] as const) {
    t.test(
      `without ${missing} the first watch says so at once, by name (Q-08)`,
      { buffered: true },
      async (t) => {
        const { url } = await userFor(t, ...rules)
        const store = open(t, createRedisClient({ url }))
        const startedAt = performance.now()
        await t.rejects(store.watch(notes().watcher), { name: 'StoreError', message: told })
        t.ok(performance.now() - startedAt < 2000, 'at once')
        if (missing !== 'subscribe')
          await t.rejects(store.check(), { name: 'StoreError', message: told }, 'nor is it ready')
      },
    )
  }

  t.test('one that is taken away later is told by the check (Q-06, Q-08)', { buffered: true }, async (t) => {
    const { url, admin } = await userFor(t)
    const store = open(t, createRedisClient({ url }))
    await store.watch(notes().watcher)
    await store.check()
    await admin.call('ACL', 'SETUSER', 'pkce', '-hset')
    await t.rejects(store.check(), { message: /the user may not run hset/ })
    await admin.call('ACL', 'SETUSER', 'pkce', '+hset')
    await store.check()
  })
})
