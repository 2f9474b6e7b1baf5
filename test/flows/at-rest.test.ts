/**
 * What whoever steals a dump of a shared store has in hand after whole logins with a real provider: no credential,
 * nothing that the server secret opens, and nothing that can be moved to another row.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { Store } from '../../plugin/index.ts'
import { parseHandle } from '../../plugin/secrets/handles.ts'
import { Browser } from '../support/browser.ts'
import { credentialsIn, leaks } from '../support/credentials.ts'
import { type GatewayStack, startGatewayStack } from '../support/gateway-stack.ts'
import { NativeApp, send } from '../support/native-app.ts'
import { type SharedStore, type StoreKind, startSharedStore } from '../support/shared-store.ts'
import { tryToOpen } from '../support/thief.ts'
import { recordTraffic } from '../support/traffic.ts'
import { until } from '../support/wait.ts'

t.setTimeout(120_000)

const SECRET = Buffer.alloc(32, 9)
const kinds: StoreKind[] = ['redis', 'redis-cluster', 'postgres']
const traffic = recordTraffic(t as unknown as Test)

/** Logins that are live, pending, over, stolen: each leaves its record behind. */
async function journeys(stack: GatewayStack, app: NativeApp): Promise<void> {
  const live = await app.login()
  await app.call(live.access_token)
  await app.refresh((await app.login()).refresh_token)

  const replayed = await app.code()
  await app.redeem(replayed)
  await app.redeem(replayed)

  await app.revoke((await app.login()).refresh_token)
  const guessed = await app.code()
  await app.redeem(guessed, { code_verifier: 'v'.repeat(43) })
  await app.code()
  await new Browser(stack).begin(app.begin().url)
  const stolen = await new Browser(stack).begin(app.begin().url)
  await new Browser(stack).open(await new Browser(stack).signIn(stolen))
}

/** Everything that clients say to a Redis, from now on. */
async function overhear(t: Test, { redis }: SharedStore): Promise<() => Promise<string>> {
  const heard: string[] = []
  for (const { port } of redis) {
    const client = new Redis({ port, host: '127.0.0.1' })
    const monitor = await client.monitor()
    monitor.on('monitor', (_time, args: string[]) => heard.push(args.join(' ')))
    t.teardown(() => {
      monitor.disconnect()
      client.disconnect()
    })
  }
  return async () => {
    // The last lines are on their way.
    await sleep(100)
    return heard.join('\n')
  }
}

function start(t: Test, store: SharedStore, tokens: 'opaque' | 'relay'): Promise<GatewayStack> {
  return startGatewayStack(t, (config) => ({
    ...config,
    tokens,
    store: store.settings,
    secrets: [SECRET.toString('base64url')],
    log: { level: 'warn' },
  }))
}

/** The records of a dump, as the plugin wrote them. */
async function recordsOf(store: SharedStore): Promise<string[]> {
  const values = (await store.dump()).map(({ row }) => (row as { value?: unknown } | null)?.value)
  return values.filter((value): value is string => typeof value === 'string' && value.startsWith('{'))
}

for (const kind of kinds) {
  t.test(`at rest on ${kind}`, async (t) => {
    const store = await startSharedStore(t, kind)
    if (typeof store === 'string') return void t.pass(kind, { skip: store })

    for (const tokens of ['opaque', 'relay'] as const) {
      await t.test(
        `no credential in a dump or on the way to it, in no encoding (G-02, G-03, ${tokens})`,
        (t) => withoutCredentials(t, store, tokens),
      )
    }
    await t.test('the dump and the server secret open nothing without a live handle (G-04)', async (t) => {
      const records = await recordsOf(store)
      t.ok(records.length >= 16, `${records.length} records`)
      const { tried, opened } = tryToOpen(records, SECRET)
      t.ok(tried > 4000, `${tried} tries`)
      t.same(opened, [])
    })
    await t.test('ciphertexts that were swapped between two rows do not open: 401 (G-03)', (t) =>
      swapped(t, store),
    )
  })
}

async function withoutCredentials(t: Test, store: SharedStore, tokens: 'opaque' | 'relay'): Promise<void> {
  const stack = await start(t, store, tokens)
  const app = new NativeApp(stack)
  const overheard = await overhear(t, store)
  const before = traffic.length
  const states = new Set<string>()
  const { begin } = app
  app.begin = (parameters) => {
    const attempt = begin.call(app, parameters)
    states.add(attempt.state)
    return attempt
  }
  await journeys(stack, app)
  const credentials = credentialsIn(traffic.slice(before))
  // The app's own state is no credential of ours: it goes back to the app as it came.
  for (const state of states) credentials.delete(state)
  t.ok(credentials.size > 60, `${credentials.size} credentials`)

  const dump = async () => JSON.stringify(await store.dump())
  t.same(leaks(await dump(), credentials), [], 'in the dump')
  t.same(leaks(await overheard(), credentials), [], 'in any command')
  t.notOk((await dump()).includes(SECRET.toString('base64url')))

  const known = [...credentials].find((credential) => credential.startsWith('pkr_'))!
  await store.open(t).create(`control:${tokens}`, Buffer.from(known.slice(26)).toString('hex'), 10_000)
  t.same(leaks(await dump(), [known]), [known], 'one that is there is found')
}

/** Lays members of one grant's record into another's, as a thief who can write to the store would. */
async function transplant(
  store: Store,
  from: string,
  to: string,
  members: readonly string[],
): Promise<() => Promise<void>> {
  const [source, target] = [(await store.read(`grant:${from}`))!, (await store.read(`grant:${to}`))!]
  const record = JSON.parse(target.value)
  for (const member of members) record[member] = JSON.parse(source.value)[member]
  await store.replace(`grant:${to}`, target.version, JSON.stringify(record), 60_000)
  return async () => {
    const { version } = (await store.read(`grant:${to}`))!
    await store.replace(`grant:${to}`, version, target.value, 60_000)
  }
}

async function swapped(t: Test, store: SharedStore): Promise<void> {
  const stack = await start(t, store, 'opaque')
  const app = new NativeApp(stack)
  const raw = store.open(t)
  const [alice, bob] = [await app.login({}, 'alice'), await app.login({}, 'bob')]
  const idOf = ({ access_token }: { access_token: string }) => parseHandle('access', access_token)!.selector
  // The store's notification that the record has changed may still be on its way.
  const noticed = () => until(async () => (await app.call(bob.access_token)).status !== 200)
  const cases = [['sealed'], ['sealed', 'refreshToken'], ['sealed', 'subject', 'claims', 'createdAt']]
  for (const members of cases) {
    const restore = await transplant(raw, idOf(alice), idOf(bob), members)
    await noticed()
    const { requests } = stack.api
    const [call, refresh] = [await app.call(bob.access_token), await app.refresh(bob.refresh_token)]
    t.same([call.status, refresh.status], [401, 400], members.join(', '))
    t.equal(stack.api.requests, requests, 'nothing was forwarded')
    await restore()
    t.equal((await app.call(bob.access_token)).status, 200, 'the row as it was opens')
  }
  // His key and all of her record: then the record is not his.
  const restore = await transplant(
    raw,
    idOf(alice),
    idOf(bob),
    Object.keys(JSON.parse((await raw.read(`grant:${idOf(alice)}`))!.value)),
  )
  await noticed()
  t.equal((await app.call(bob.access_token)).status, 401, 'a whole row under another key')
  await restore()
  t.equal((await send(`${stack.publicUrl}/status`)).status, 200)
}
