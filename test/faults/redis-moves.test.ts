/** What happens to a Redis that is somebody else's: it fails over behind its name, is full, or gets a new password. */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'
import { startGatewayStack } from '../support/gateway-stack.ts'
import { NativeApp } from '../support/native-app.ts'
import { noRedis, startManagedRedis, startRedis } from '../support/redis-server.ts'
import { reloadableGateway } from '../support/reloadable-gateway.ts'
import { until } from '../support/wait.ts'

const SESSIONS = 20

async function stackOn(t: Test, store: NonNullable<GatewayInput['store']>) {
  const stack = await startGatewayStack(t, (config) => ({
    ...config,
    secrets: [randomBytes(32).toString('base64url')],
    rateLimit: false,
    store: { type: 'redis', ...store },
  }))
  const app = new NativeApp(stack)
  const canLogIn = () =>
    app.login().then(
      () => true,
      () => false,
    )
  return { stack, app, canLogIn }
}

t.test(
  'a managed failover: logins within 10 s, and no session is lost (Q-08)',
  { skip: noRedis },
  async (t) => {
    const managed = await startManagedRedis(t)
    const { app, canLogIn } = await stackOn(t, { url: managed.url })
    const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => app.login()))
    await managed.failOver()
    const startedAt = performance.now()
    await until(canLogIn)
    const tookMs = performance.now() - startedAt
    t.comment(`logins again after ${Math.round(tookMs)} ms`)
    t.ok(tookMs < 10_000, `${Math.round(tookMs)} ms`)
    const forwarded = await Promise.all(sessions.map(({ access_token }) => app.call(access_token)))
    t.same(new Set(forwarded.map(({ status }) => status)), new Set([200]))
    const refreshed = await Promise.all(sessions.map(({ refresh_token }) => app.refresh(refresh_token)))
    t.same(new Set(refreshed.map(({ status }) => status)), new Set([200]))

    // And back again.
    await managed.failOver()
    await until(canLogIn)
    for (const { json } of refreshed) t.equal((await app.call(String(json.access_token))).status, 200)
  },
)

t.test(
  'Redis is full: sessions are served and can be ended, for good (Q-06)',
  { skip: noRedis },
  async (t) => {
    const redis = await startRedis(['--maxmemory-policy', 'noeviction'])
    t.teardown(() => redis.stop())
    const admin = new Redis(redis.port, '127.0.0.1')
    t.teardown(() => admin.disconnect())
    const { app, stack, canLogIn } = await stackOn(t, { url: redis.url })
    const [warm, cold, ending, byHand] = [
      await app.login(),
      await app.login(),
      await app.login(),
      await app.login(),
    ]
    for (const { access_token } of [warm, ending]) t.equal((await app.call(access_token)).status, 200)
    t.same(await stack.app.pkce.readiness(), { forwarding: null, store: null, provider: null })

    await admin.config('SET', 'maxmemory', '1')
    t.notOk(await canLogIn())
    for (const { access_token } of [warm, cold]) t.equal((await app.call(access_token)).status, 200)
    t.match(await stack.app.pkce.readiness(), {
      forwarding: null,
      store: /the server has reached its memory limit \(OOM\)/,
      provider: null,
    })
    t.equal((await app.refresh(warm.refresh_token)).status, 503, 'a refresh waits for better times')
    t.equal((await app.revoke(ending.refresh_token)).status, 200)
    t.equal((await app.call(ending.access_token)).status, 401, 'it has ended')
    const [{ grantId } = { grantId: '' }] = await stack.app.pkce.sessionsOf('alice')
    t.equal(await stack.app.pkce.endSession({ grantId }), 1, 'an administrator can, too')

    await admin.config('SET', 'maxmemory', '0')
    await until(canLogIn)
    t.equal((await app.call(ending.access_token)).status, 401, 'and it stays so')
    t.match((await app.refresh(ending.refresh_token)).json, { error: 'invalid_grant' })
    const statuses = await Promise.all([warm, cold, byHand].map(({ access_token }) => app.call(access_token)))
    t.same(statuses.map(({ status }) => status).sort(), [200, 200, 401])
  },
)

t.test(
  'a rotated Redis password is read from its file: no restart, no session lost (F-06)',
  { skip: noRedis },
  async (t) => {
    const redis = await startRedis(['--requirepass', 'first'])
    t.teardown(() => redis.stop())
    const file = join(t.testdir({}), 'url')
    const write = (password: string) =>
      writeFileSync(file, `redis://:${password}@127.0.0.1:${redis.port}\n`, { mode: 0o600 })
    write('first')
    const { app, canLogIn } = await stackOn(t, { urlFile: file })
    const { access_token, refresh_token } = await app.login()

    const admin = new Redis(redis.port, '127.0.0.1', { password: 'first' })
    t.teardown(() => admin.disconnect())
    write('second')
    await admin.config('SET', 'requirepass', 'second')
    t.ok(await canLogIn(), 'connections that stand need no password')
    for (const type of ['normal', 'pubsub']) await admin.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')
    const startedAt = performance.now()
    await until(canLogIn)
    const tookMs = performance.now() - startedAt
    t.comment(`logins again after ${Math.round(tookMs)} ms`)
    t.ok(tookMs < 3000)
    t.equal((await app.call(access_token)).status, 200)
    t.equal((await app.refresh(refresh_token)).status, 200)
  },
)

t.test(
  'a reload while Redis refuses us waits for it, and leaves the connection alone (Q-03, F-06)',
  { skip: noRedis },
  async (t) => {
    // @fastify/redis, registered for each configuration, ended the client that all of them share: for good.
    const redis = await startRedis(['--requirepass', 'first'])
    t.teardown(() => redis.stop())
    const file = join(t.testdir({}), 'url')
    const write = (password: string) =>
      writeFileSync(file, `redis://:${password}@127.0.0.1:${redis.port}\n`, { mode: 0o600 })
    write('first')
    const { app, reload } = await reloadableGateway(t, (config) => ({
      ...config,
      secrets: [randomBytes(32).toString('base64url')],
      store: { type: 'redis', urlFile: file },
    }))
    const { access_token } = await app.login()

    const admin = new Redis(redis.port, '127.0.0.1', { password: 'first' })
    t.teardown(() => admin.disconnect())
    await admin.config('SET', 'requirepass', 'second')
    for (const type of ['normal', 'pubsub']) await admin.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')
    await until(async () => (await app.call(access_token)).status === 503)
    const change = (codeSeconds: number) =>
      reload((config) => ({ ...config, lifetimes: { ...config.lifetimes, codeSeconds } }))
    t.match(await change(50), { problems: [/^redis store: /] }, 'away for longer than a moment')
    t.equal((await app.call(access_token)).status, 503)

    const waiting = change(51)
    await new Promise((resolve) => setTimeout(resolve, 200))
    write('second')
    t.match(await waiting, { changes: [/lifetimes.codeSeconds/] })
    await until(async () => (await app.call(access_token)).status === 200)
    t.ok((await app.login()).access_token)
  },
)
