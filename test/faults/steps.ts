/** Every step of the walk, each with the store lost before, during and after it: one suite for every shared store. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Test } from 'tap'
import { leaks } from '../support/credentials.ts'
import type { Fault } from '../support/fault-proxy.ts'
import { type FaultStack, type Operation, startFaultStack } from '../support/fault-stack.ts'
import type { Answer, Tokens } from '../support/native-app.ts'
import type { SharedStore } from '../support/shared-store.ts'

/** Asked of the provider and of the API. */
type Counts = ReturnType<FaultStack['counts']>
const NOTHING: Counts = { token: 0, revoke: 0, api: 0 }

/** One step of the walk, and what an app sees when the store is lost there. */
interface Step {
  readonly title: string
  /** The message that meets the fault: the n-th of its kind. */
  readonly operation: Operation
  readonly nth?: number
  /** Everything before the step. Resolves to the step, which can be taken again. */
  readonly prepare: (stack: FaultStack) => Promise<() => Promise<Answer>>
  /** 200 where a write is made again until the store is back. Default 503. */
  readonly status?: number
  /** The 503 says not to come back: the code is burnt. */
  readonly isFinal?: true
  /** Until the answer. */
  readonly asked?: Partial<Counts>
  /** What the same attempt gets after the fault, by whether its write has been done. Default `undone` for both. */
  readonly undone: Again
  readonly done?: Again
  /** Where it differs if the write is done long after it was given up. Default `done`. */
  readonly late?: Again
}

interface Again {
  readonly status: number
  readonly error?: string
  readonly asked?: Partial<Counts>
  /** Grants of the subject that are live in the end. */
  readonly live: number
  /** Of the successors in the answer, whether they work. */
  readonly goesOn?: boolean
}

const LOGGED_IN = { status: 200, asked: { token: 1 }, live: 1, goesOn: true }
const REFUSED = { status: 400, error: 'invalid_grant', live: 0 }
const REFRESHED = { status: 200, live: 1, goesOn: true }

const steps: Step[] = [
  {
    title: 'authorize, the grant is created',
    operation: 'create',
    prepare: async (stack) => () => stack.authorize(stack.native.begin()),
    undone: { status: 302, live: 0 },
  },
  {
    title: 'callback, the transaction is read',
    operation: 'read',
    prepare: returned,
    undone: { status: 302, live: 0 },
  },
  {
    title: 'callback, the swap to authorized',
    operation: 'replace',
    prepare: returned,
    undone: { status: 302, live: 0 },
    done: { status: 400, live: 0 },
  },
  { title: 'token, the grant is read', operation: 'read', prepare: codeInHand, undone: LOGGED_IN },
  {
    title: 'token, the swap to redeeming',
    operation: 'replace',
    prepare: codeInHand,
    undone: LOGGED_IN,
    done: REFUSED,
  },
  {
    title: 'token, the index before the commit',
    isFinal: true,
    operation: 'addToIndex',
    prepare: codeInHand,
    asked: { token: 1, revoke: 1 },
    undone: REFUSED,
  },
  {
    title: 'token, the commit after the provider has answered',
    isFinal: true,
    operation: 'replace',
    nth: 2,
    prepare: codeInHand,
    asked: { token: 1, revoke: 1 },
    undone: REFUSED,
    // It was activated, and is a replay now: nobody holds its handles.
    done: { ...REFUSED, asked: { revoke: 1 } },
    // The end that follows a failed commit arrives later, too.
    late: REFUSED,
  },
  { title: 'refresh, the grant is read', operation: 'read', prepare: refreshing, undone: REFRESHED },
  { title: 'refresh, the rotation', operation: 'replace', prepare: refreshing, undone: REFRESHED },
  {
    title: 'refresh at the provider, the lease is taken',
    operation: 'replace',
    prepare: refreshingAtProvider,
    undone: { ...REFRESHED, asked: { token: 1 } },
    done: { ...REFRESHED, asked: { token: 1 } },
  },
  {
    title: 'refresh at the provider, the rotation after it has answered',
    operation: 'replace',
    nth: 2,
    prepare: refreshingAtProvider,
    status: 200,
    asked: { token: 1 },
    // The app repeats what it has already got an answer to.
    undone: REFRESHED,
  },
  {
    title: 'revoke, the grant is read',
    operation: 'read',
    prepare: revoking,
    undone: { status: 200, asked: { revoke: 1 }, live: 0 },
  },
  {
    title: 'revoke, the swap to ended',
    operation: 'replace',
    prepare: revoking,
    asked: { revoke: 1 },
    undone: { status: 200, asked: { revoke: 1 }, live: 0 },
    done: { status: 200, live: 0 },
  },
  {
    title: 'a code is replayed, the swap to ended',
    operation: 'replace',
    prepare: replaying,
    asked: { revoke: 1 },
    undone: { ...REFUSED, asked: { revoke: 1 } },
    done: REFUSED,
  },
  {
    title: 'an old refresh token is used again, the swap to ended',
    operation: 'replace',
    prepare: reusing,
    asked: { revoke: 1 },
    undone: { ...REFUSED, asked: { revoke: 1 } },
    done: REFUSED,
  },
  {
    title: 'forward, the session is read',
    operation: 'read',
    prepare: forwarding,
    undone: { status: 200, asked: { api: 1 }, live: 1 },
  },
]

async function returned(stack: FaultStack) {
  const from = await stack.atProvider()
  return () => stack.callback(from)
}

async function codeInHand(stack: FaultStack) {
  const code = await stack.code()
  return () => stack.native.redeem(code)
}

async function refreshing({ native }: FaultStack) {
  const { refresh_token } = await native.login()
  return () => native.refresh(refresh_token)
}

/** Half of the provider token's life is over, so it is renewed first. */
async function refreshingAtProvider(stack: FaultStack) {
  stack.setProviderLife(1)
  const refresh = await refreshing(stack)
  await new Promise((resolve) => setTimeout(resolve, 600))
  return refresh
}

async function revoking({ native }: FaultStack) {
  const { refresh_token } = await native.login()
  return () => native.revoke(refresh_token)
}

async function replaying(stack: FaultStack) {
  const redeem = await codeInHand(stack)
  await redeem()
  return redeem
}

/** Two generations later. */
async function reusing({ native }: FaultStack) {
  const { refresh_token } = await native.login()
  const next = (await native.refresh(refresh_token)).json as unknown as Tokens
  await native.refresh(next.refresh_token)
  return () => native.refresh(refresh_token)
}

/** With a token that no request has carried yet. */
async function forwarding({ native }: FaultStack) {
  const { access_token } = await native.login()
  return () => native.call(access_token)
}

/** A refresh lease that nobody knows of is over after this time (D-06). */
const TOTAL_MS = 1000
const LEASE_MS = TOTAL_MS + 5000
/** A store that does not answer is a 503 within this time (G-11). */
export const OUTAGE_MS = 1000

/** What a request gets, and after how long, less the time for which this process stood still. */
export async function timed(request: () => Promise<Answer>): Promise<{ answer: Answer; tookMs: number }> {
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  const startedAt = performance.now()
  const answer = await request()
  const tookMs = performance.now() - startedAt
  delay.disable()
  return { answer, tookMs: tookMs - (Number.isFinite(delay.max) ? delay.max / 1e6 : 0) }
}

/** A gateway with a short deadline at the provider, so that leases are short too. */
export function startFaultedStack(t: Test, store: SharedStore): Promise<FaultStack> {
  return startFaultStack(t, store, (config) => ({
    ...config,
    provider: { ...config.provider, timeouts: { totalMs: TOTAL_MS } },
    // A repetition is a replay at once: what it ends shows what the fault has left behind.
    lifetimes: { duplicateSeconds: 0 },
  }))
}

const words = {
  before: 'before the server has heard of it',
  after: 'between the write and its answer',
  hole: 'silently: no connection breaks, and what was sent arrives later',
} satisfies Partial<Record<Fault, string>>

/** A test for each step, with a gateway and a network of its own, and in it one for each fault. */
export async function faultEachStep(t: Test, store: SharedStore): Promise<void> {
  // Nearly all of their time is spent waiting.
  t.jobs = 4
  // One after the other: what a gateway compiles at its start would keep the others from hearing their store.
  let starting: Promise<unknown> = Promise.resolve()
  for (const step of steps) {
    t.test(`the store is lost: ${step.title} (G-08, G-11)`, { buffered: true }, async (t) => {
      const started = starting.then(() => startFaultedStack(t, store))
      starting = started.catch(() => {})
      const stack = await started
      // A question whose answer is lost is one that was not asked.
      const faults =
        step.operation === 'read' ? (['before', 'hole'] as const) : (['before', 'after', 'hole'] as const)
      for (const fault of faults) await t.test(words[fault], (t) => lose(t, stack, step, fault))
      t.same(leaks(stack.log(), stack.credentials()), [], 'no credential in the log (J-01)')
    })
  }
}

async function lose(t: Test, stack: FaultStack, step: Step, fault: keyof typeof words): Promise<void> {
  const { gateway, native } = stack
  await gateway.pkce.endSession({ subject: 'alice' })
  const attempt = await step.prepare(stack)
  stack.counts()

  const struck = stack.strike(step.operation, fault, step.nth)
  const answering = timed(attempt)
  await struck
  // Those who insist must be able to see it back.
  if (step.status === 200) setTimeout(() => stack.proxy.heal(), fault === 'hole' ? 1000 : 300)
  const { answer, tookMs } = await answering
  t.equal(answer.status, step.status ?? 503, answer.text)
  if (answer.status === 503) {
    t.equal(answer.headers.has('retry-after'), !step.isFinal, 'said where a repetition can succeed (C-17)')
    t.ok(tookMs < OUTAGE_MS, `answered within ${Math.round(tookMs)} ms`)
  }
  await settled()
  t.same(stack.counts(), { ...NOTHING, ...step.asked }, 'asked during the fault')

  const recoveredMs = await stack.recover()
  t.comment(`recovered after ${Math.round(recoveredMs)} ms`)
  // What was held back is on its way to the store now, on another connection than the next attempt.
  await settled()
  const { undone, done = undone, late = done } = step
  const again = { before: undone, after: done, hole: late }[fault]
  const retry = await patiently(attempt)
  t.equal(retry.status, again.status, retry.text)
  if (again.error !== undefined) t.equal(retry.json.error, again.error)
  await settled()
  t.same(stack.counts(), { ...NOTHING, ...again.asked }, 'asked by the next attempt')
  t.equal((await gateway.pkce.sessionsOf('alice')).length, again.live, 'live grants')
  if (again.goesOn) {
    const next = retry.json as unknown as Tokens
    t.equal((await native.call(next.access_token)).status, 200)
    t.equal((await native.refresh(next.refresh_token)).status, 200)
  }

  const { access_token } = await native.login()
  t.equal((await native.call(access_token)).status, 200, 'all is well again, without a restart')
}

/** As an app does that is told to come again: until the lease is over at the latest. */
async function patiently(attempt: () => Promise<Answer>): Promise<Answer> {
  const deadline = performance.now() + LEASE_MS + OUTAGE_MS
  for (;;) {
    const answer = await attempt()
    if (answer.status !== 503 || performance.now() > deadline) return answer
  }
}

/** Revocations at the provider are not awaited by the answer. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 30))
}
