/**
 * What a store costs: CPU of the gateway process for a forwarded request and for a token exchange, on memory,
 * Redis and PostgreSQL, and on Redis without the session cache. Run: `node build/benchmarks/measure/store-cost.js [rounds]`.
 *
 * All gateways run at once and are asked in turn, the order reversed each round; a figure is the CPU time that
 * the kernel charged to the gateway's process, so that neither the load nor the other gateways are in it. Ratios
 * are against memory in the same round.
 */
import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { Pool } from 'undici'
import { type Instances, startInstances } from '../../test/support/instances.ts'
import { startSharedStore } from '../../test/support/shared-store.ts'
import { rounds as summarize } from './statistics.ts'

const ROUNDS = Number(process.argv[2] ?? 5)
const FORWARDS = 4000
const EXCHANGES = 400
const CONNECTIONS = 16
/** Oftener than a watcher can come back. */
const DEAFEN_MS = 20
const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

const endings: (() => unknown)[] = []
const owner = { teardown: (end: () => unknown) => endings.push(end) }

interface Subject {
  readonly name: string
  readonly stack: Instances
  readonly pool: Pool
  /** Keeps the notification channel down while it is measured. */
  readonly deafen?: () => Promise<unknown>
}

async function startSubject(
  name: string,
  kind: 'memory' | 'redis' | 'postgres',
  deaf = false,
): Promise<Subject> {
  const store = await startSharedStore(owner as never, kind)
  if (typeof store === 'string') throw new Error(store)
  const stack = await startInstances(owner as never, {
    count: 1,
    store,
    provider: 'stub',
    change: (config) => ({
      ...config,
      rateLimit: false,
      limits: { transactionsPerAddress: 1_000_000, transactions: 1_000_000 },
      provider: { ...config.provider, scope: 'api' },
      // Whoever measures costs does not want the page.
      clients: config.clients.map((client) => ({ ...client, interaction: 'none' })),
      log: { level: 'warn' },
    }),
  })
  if (typeof stack === 'string') throw new Error(stack)
  const pool = new Pool(stack.instances[0]!.url, { connections: CONNECTIONS })
  if (!deaf) return { name, stack, pool }
  const redis = new Redis(store.settings.url!)
  endings.push(() => redis.disconnect())
  return { name, stack, pool, deafen: () => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub') }
}

/** Microseconds of CPU, user and system, that the gateway has used so far. */
function cpuMicroseconds({ stack }: Subject): number {
  const fields = readFileSync(`/proc/${stack.instances[0]!.pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

async function many(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (next < count) await work(next++)
    }),
  )
}

async function send(subject: Subject, path: string, headers: Record<string, string>, body?: string) {
  const host = new URL(subject.stack.publicUrl).host
  const method = body === undefined ? 'GET' : 'POST'
  const answer = await subject.pool.request({
    path,
    method,
    headers: { host, ...headers },
    body: body ?? null,
  })
  const text = await answer.body.text()
  if (answer.statusCode >= 400)
    throw new Error(`${subject.name}: ${path.split('?')[0]} answered ${answer.statusCode}`)
  return { headers: answer.headers, text }
}

/** Everything before the token request; its body. */
async function prepareExchange(subject: Subject): Promise<string> {
  const redirectUri = 'com.example.app:/callback'
  const query = new URLSearchParams({
    client_id: 'com.example.app',
    redirect_uri: redirectUri,
    response_type: 'code',
    code_challenge: CHALLENGE,
    code_challenge_method: 'S256',
  })
  const begun = await send(subject, `/oauth2/authorize?${query}`, {})
  const state = new URL(String(begun.headers.location)).searchParams.get('state')
  const cookie = String([begun.headers['set-cookie']].flat()[0]).split(';', 1)[0]!
  const returned = await send(subject, `/oauth2/callback?state=${state}&code=provider-code`, { cookie })
  return String(
    new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: 'com.example.app',
      redirect_uri: redirectUri,
      code: new URL(String(returned.headers.location)).searchParams.get('code')!,
      code_verifier: VERIFIER,
    }),
  )
}

/** CPU for one exchange and for one forward with a warm session, in microseconds. */
async function measure(subject: Subject): Promise<{ exchange: number; forward: number }> {
  const bodies: string[] = []
  await many(EXCHANGES, async (index) => {
    bodies[index] = await prepareExchange(subject)
  })
  let token = ''
  let before = cpuMicroseconds(subject)
  await many(EXCHANGES, async (index) => {
    token = JSON.parse((await send(subject, '/oauth2/token', FORM, bodies[index])).text).access_token
  })
  const exchange = (cpuMicroseconds(subject) - before) / EXCHANGES

  const authorization = `Bearer ${token}`
  const timer = subject.deafen && setInterval(() => void subject.deafen?.(), DEAFEN_MS)
  await subject.deafen?.()
  before = cpuMicroseconds(subject)
  await many(FORWARDS, () => send(subject, '/api/orders', { authorization }))
  const forward = (cpuMicroseconds(subject) - before) / FORWARDS
  clearInterval(timer)
  return { exchange, forward }
}

const subjects = [
  await startSubject('memory', 'memory'),
  await startSubject('redis', 'redis'),
  await startSubject('redis, no cache', 'redis', true),
  await startSubject('postgres', 'postgres'),
]
const rounds: Record<string, { exchange: number; forward: number }>[] = []
try {
  // The first round warms everything up and is not counted.
  for (let round = 0; round <= ROUNDS; round++) {
    const results: Record<string, { exchange: number; forward: number }> = {}
    for (const subject of round % 2 ? subjects : subjects.toReversed())
      results[subject.name] = await measure(subject)
    if (round > 0) rounds.push(results)
  }
  for (const { name } of subjects) {
    for (const what of ['forward', 'exchange'] as const) {
      const ratios = rounds.map((results) => results.memory![what] / results[name]![what])
      const figures = rounds.map((results) => results[name]![what].toFixed(0))
      process.stdout.write(
        `${name.padEnd(16)} ${what.padEnd(9)} ${summarize(ratios).median.toFixed(2)} of memory   rounds ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')}   µs CPU ${figures.join(' ')}\n`,
      )
    }
  }
} finally {
  await Promise.all(subjects.map(({ pool }) => pool.destroy()))
  for (const end of endings.toReversed()) await end()
}
