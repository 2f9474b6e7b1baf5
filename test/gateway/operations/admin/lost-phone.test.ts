/**
 * A phone is lost: the operator ends its session, and then all of its owner's, by the command. Two instances on one
 * Redis, with a stream open on each; and one gateway with workers, whose first process has no store.
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { type Instance, type Instances, startInstances } from '../../../support/instances.ts'
import { NativeApp } from '../../../support/native-app.ts'
import { noRedis } from '../../../support/redis-server.ts'
import { runCaptured } from '../../../support/run-command.ts'

t.setTimeout(300_000)

const TOKEN = 'an-admin-token-of-this-test'

t.test('a lost phone, on two instances (S-01, Q-09)', { skip: noRedis }, async (t) => {
  const events = await startEvents(t)
  const tokenFile = join(t.testdir({}), 'admin-token')
  writeFileSync(tokenFile, `${TOKEN}\n`, { mode: 0o600 })
  const stack = await startInstances(t, {
    ...{ count: 2, store: 'redis', provider: 'stub' },
    change: (config) => ({
      ...config,
      admin: { port: 0, tokenFile },
      upstreams: [...(config.upstreams ?? []), { prefix: '/events', target: events }],
    }),
  })
  if (typeof stack === 'string') throw new Error(stack)
  const [first, second] = stack.instances as [Instance, Instance]
  const app = new NativeApp(stack)
  const lost = await app.login({}, 'alice')
  const other = await app.login({}, 'alice')
  const bobs = await app.login({}, 'bob')
  const operate = (...args: string[]) =>
    runCaptured(['sessions', ...args, '--admin', first.adminUrl, '--token-file', tokenFile])

  t.match(await runCaptured(['sessions', 'list', '--subject', 'alice', '--admin', first.adminUrl]), {
    status: 1,
    stderr: /Authorization: Bearer with the token in admin\.tokenFile is required/,
  })

  const listed = JSON.parse((await operate('list', '--subject', 'alice', '--json')).stdout).sessions
  t.equal(listed.length, 2)
  // The newest stands first; the log names both.
  const { grant, grantId } = listed[1]
  const logged = stack.instances.flatMap((instance) => instance.events())
  t.ok(logged.some((event) => event.grant === grant))
  const table = await operate('list', '--grant', grant)
  t.match(table.stdout, /^GRANT +ID +CLIENT +CREATED +EXPIRES +SCOPE\n/)
  t.match(table.stdout, new RegExp(`^${grant} +${grantId} +com\\.example\\.app `, 'm'))

  const streams = await streamsOf(stack, lost.access_token)
  const others = await streamsOf(stack, other.access_token)
  await t.test('its session alone: by what the log calls it', async (t) => {
    const from = performance.now()
    t.match(await operate('end', '--grant', grant), { status: 0, stdout: '1 session ended\n' })
    await refused(t, stack, lost.access_token)
    await closedInTime(t, streams, from)
    t.same(await statuses(stack, other.access_token), [200, 200], 'the tablet goes on')
    t.equal((await app.refresh(lost.refresh_token)).status, 400)
    t.match(await operate('end', grantId), { status: 1, stderr: /no live session has this id/ })
  })
  await t.test('all of a person', async (t) => {
    const another = await app.login({}, 'alice')
    const from = performance.now()
    t.match(await operate('end', '--subject', 'alice'), { status: 0, stdout: '2 sessions ended\n' })
    await refused(t, stack, other.access_token)
    await refused(t, stack, another.access_token)
    await closedInTime(t, others, from)
    t.same(await statuses(stack, bobs.access_token), [200, 200])
    t.match(await operate('list', '--subject', 'alice'), { status: 0, stdout: 'no sessions\n' })
  })
  t.equal(
    first.events().filter(({ event, reason }) => event === 'session.ended' && reason === 'administrator')
      .length,
    3,
  )

  await t.test('the token is read again at a reload (Q-03)', async (t) => {
    const next = `${TOKEN}-rotated`
    writeFileSync(tokenFile, next)
    const authorized = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
    const reload = await request(`${first.adminUrl}/reload`, { method: 'POST', ...authorized(TOKEN) })
    t.equal(reload.statusCode, 200)
    t.same(await reload.body.json(), { changes: ['admin.bearerToken: changed'], ignored: [] })
    const version = async (instance: Instance, token: string) => {
      const { statusCode, body } = await request(`${instance.adminUrl}/version`, authorized(token))
      await body.dump()
      return statusCode
    }
    t.same([await version(first, TOKEN), await version(first, next)], [401, 200])
    t.same([await version(second, TOKEN), await version(second, next)], [200, 401], 'each by its own reload')
    for (const instance of stack.instances) t.notMatch(instance.log(), TOKEN)
  })

  await t.test('a store that is away: status 1, and nothing is said to have ended', async (t) => {
    writeFileSync(tokenFile, TOKEN)
    stack.store.redis[0]!.pause()
    t.teardown(() => stack.store.redis[0]!.resume())
    const at = ['--admin', second.adminUrl, '--token-file', tokenFile]
    t.match(await runCaptured(['sessions', 'end', '--subject', 'bob', ...at]), {
      status: 1,
      stdout: '',
      stderr: /redis store: /,
    })
  })
})

t.test('with workers: one of them is asked (S-01, G-13)', { skip: noRedis }, async (t) => {
  const stack = await startInstances(t, {
    ...{ count: 1, store: 'redis', provider: 'stub' },
    change: (config) => ({ ...config, workers: 2 }),
  })
  if (typeof stack === 'string') throw new Error(stack)
  const app = new NativeApp(stack)
  const { access_token } = await app.login({}, 'alice')
  const at = ['--admin', stack.instances[0]!.adminUrl]
  const { stdout } = await runCaptured(['sessions', 'list', '--subject', 'alice', '--json', ...at])
  const [{ grantId }] = JSON.parse(stdout).sessions
  const unknown = await runCaptured([
    'sessions',
    'list',
    '--subject',
    'a',
    '--issuer',
    'https://x.example',
    ...at,
  ])
  t.match(unknown, { status: 1, stderr: /issuer is no provider here/ })
  t.match(await runCaptured(['sessions', 'end', grantId, ...at]), { status: 0, stdout: '1 session ended\n' })
  // Connections go to the workers in turn.
  for (let n = 0; n < 4; n++) t.equal((await app.call(access_token)).status, 401)
})

/** An API that sends one event and keeps the stream open. */
async function startEvents(t: Test): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

interface Stream {
  /** When it was. */
  readonly closed: Promise<number>
}

/** One stream on each instance, after its first event. */
function streamsOf({ instances, publicUrl }: Instances, accessToken: string): Promise<Stream[]> {
  return Promise.all(
    instances.map(async ({ url }) => {
      const { statusCode, body } = await request(`${url}/events`, {
        headers: { host: new URL(publicUrl).host, authorization: `Bearer ${accessToken}` },
      })
      if (statusCode !== 200) throw new Error(`no stream: ${statusCode}`)
      body.on('error', () => {})
      await once(body, 'data')
      return { closed: once(body, 'close').then(() => performance.now()) }
    }),
  )
}

async function closedInTime(t: Test, streams: Stream[], from: number): Promise<void> {
  for (const { closed } of streams) {
    const closedAt = await closed
    const ms = Math.round(closedAt - from)
    t.ok(ms >= 0 && ms < 1000, `closed after ${ms} ms`)
  }
}

function statuses({ instances }: Instances, accessToken: string): Promise<number[]> {
  const headers = { authorization: `Bearer ${accessToken}` }
  return Promise.all(instances.map(async (one) => (await one.send('/api/orders', { headers })).status))
}

/** At the next request, on each. */
async function refused(t: Test, stack: Instances, accessToken: string): Promise<void> {
  t.same(await statuses(stack, accessToken), [401, 401])
}
