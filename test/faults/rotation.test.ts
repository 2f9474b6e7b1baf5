/**
 * Secrets that change under load, each together with a reload, good or bad: no restart, and nothing is lost (F-06, Q-03).
 *
 * Redis keeps connections that have proved the old password. Where they are killed as well, there is a moment without a
 * store: what meets it gets a 503 with `Retry-After`, and its repetition must succeed, that of a login with the same
 * code. One login cannot be repeated: that which the provider is answering in this very moment. Its code is burnt, its
 * 503 says so by having no `Retry-After` (requirements, Appendix A 12), and the app begins anew.
 */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { noRedis } from '../support/redis-server.ts'
import { startSharedStore } from '../support/shared-store.ts'
import { json } from '../support/stub-provider.ts'
import { until } from '../support/wait.ts'
import { pause } from './load.ts'
import { LOGINS, type Outcome, startUnderLoad } from './reload-load.ts'

t.setTimeout(180_000)

/** Until a client that has lost its connections has new ones (G-11). */
const MOMENT_MS = 3000

const kinds = ['provider', 'sealing', 'redis', 'redis, connections killed'] as const
/** Each with a reload that is good, and with one that is refused. */
const ROUNDS = [...kinds, kinds[0]].flatMap((kind) => [[kind, true] as const, [kind, false] as const])

const random = () => randomBytes(32).toString('base64url')

/** Repeats what is told to come again in the moment after `from`, and counts. */
function patience() {
  let until = 0
  const counts = { repeated: 0, lastMs: 0, burnt: 0 }
  let startedAt = 0
  return {
    counts,
    begin() {
      startedAt = performance.now()
      until = startedAt + MOMENT_MS
    },
    beginsAgain({ status, retryAfter }: Outcome): boolean {
      const isBurnt = status === 503 && retryAfter === null && performance.now() < until
      if (isBurnt) counts.burnt++
      return isBurnt
    },
    async ask<Answer extends Outcome>(request: () => Promise<Answer>): Promise<Answer> {
      for (;;) {
        const answer = await request()
        const now = performance.now()
        if (answer.status !== 503 || answer.retryAfter === null || now > until) return answer
        counts.repeated++
        counts.lastMs = Math.max(counts.lastMs, Math.round(now - startedAt))
        await pause(20)
      }
    },
  }
}

/** The secrets as files of the gateway, and as Redis and the provider know them. */
async function startSecrets(t: Test) {
  const store = await startSharedStore(t, 'redis')
  if (typeof store === 'string') throw new Error(store)
  const { port } = store.redis[0]!
  const admin = new Redis(port, '127.0.0.1')
  t.teardown(() => admin.disconnect())
  const folder = t.testdir({})
  const write = (name: string, content: string) => {
    writeFileSync(join(folder, name), content, { mode: 0o600 })
  }
  const sealing: string[] = []
  const clientSecrets: string[] = []
  const rotate = {
    provider() {
      clientSecrets.unshift(random())
      write('client-secret', clientSecrets[0]!)
    },
    sealing() {
      sealing.unshift(random())
      write('secrets', sealing.join('\n'))
    },
    async redis() {
      const password = random()
      write('url', `redis://:${password}@127.0.0.1:${port}\n`)
      await admin.config('SET', 'requirepass', password)
    },
  }
  rotate.provider()
  rotate.sealing()
  await rotate.redis()
  return {
    store,
    rotate,
    clientSecrets,
    files: {
      store: { type: 'redis' as const, urlFile: join(folder, 'url') },
      clientSecretFile: join(folder, 'client-secret'),
      secretsFile: join(folder, 'secrets'),
    },
    keepNewestSealing: () => write('secrets', sealing[0]!),
    async killConnections() {
      for (const type of ['normal', 'pubsub'])
        await admin.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')
    },
  }
}

for (const workers of [1, 2]) {
  t.test(
    `secrets are rotated with ${workers} processes: no restart, no login lost (F-06, Q-03)`,
    { skip: noRedis },
    async (t) => {
      const { store, files, rotate, clientSecrets, keepNewestSealing, killConnections } =
        await startSecrets(t)
      const { counts, begin, ...patient } = patience()
      const running = await startUnderLoad(t, {
        store,
        ...patient,
        change: ({ secrets: _, provider: { clientSecret: __, ...provider }, ...config }) => ({
          ...config,
          workers,
          provider: { ...provider, clientSecretFile: files.clientSecretFile },
          secretsFile: files.secretsFile,
          store: files.store,
        }),
      })
      if (typeof running === 'string') throw new Error(running)
      const { stack, instance, app, load, reload } = running
      const used = new Set<string>()
      const { token } = stack.stub.behave
      stack.stub.behave.token = (request, response) => {
        const [, pair = ''] = `${request.headers.authorization}`.split(' ')
        const [, secret = ''] = Buffer.from(pair, 'base64').toString().split(':')
        used.add(secret)
        if (secret === clientSecrets[0]) return token(request, response)
        return json(response, 401, { error: 'invalid_client' })
      }
      const { pid } = instance
      const old = await app.login()

      for (const [kind, isGood] of ROUNDS) {
        if (kind === 'provider') rotate.provider()
        else if (kind === 'sealing') rotate.sealing()
        else await rotate.redis()
        const reloaded = reload(
          (config) => ({ ...config, routePrefix: isGood ? '/oauth2' : 'no path' }),
          isGood,
        )
        const isKilled = kind === 'redis, connections killed'
        if (isKilled) begin()
        if (isKilled) await killConnections()
        await reloaded
        const { logins } = load.counts
        // Each of those under way, and one after it.
        await until(() => load.counts.logins > logins + 8)
      }
      const rate = await running.end()
      t.same(load.lost, [])
      t.equal(instance.pid, pid)
      t.ok(
        clientSecrets.every((secret) => used.has(secret)),
        'every secret of the provider was used',
      )
      t.ok(counts.repeated > 0, 'there were moments without a store')
      t.ok(counts.burnt <= 2 * LOGINS, 'at most those whose exchange was under way')
      t.comment(`${JSON.stringify(load.counts)}, ${rate} forwards a second`)
      t.comment(
        `killed connections: ${counts.repeated} requests again, the last after ${counts.lastMs} ms; ${counts.burnt} burnt`,
      )

      const young = await app.login()
      t.equal((await app.call(old.access_token)).status, 200)
      keepNewestSealing()
      await reload((config) => ({ ...config, routePrefix: '/oauth2' }), true)
      t.equal((await app.call(old.access_token)).status, 401, 'the secrets that sealed it are gone')
      t.equal((await app.call(young.access_token)).status, 200)
      await instance.end('SIGTERM')
    },
  )
}
