/** An outage of the whole store, whatever its kind: what each door answers meanwhile, and that it ends by itself. */
import type { Test } from 'tap'
import { leaks } from '../support/credentials.ts'
import type { FaultStack } from '../support/fault-stack.ts'
import type { Answer } from '../support/native-app.ts'
import type { SharedStore } from '../support/shared-store.ts'
import { OUTAGE_MS, startFaultedStack, timed } from './steps.ts'

/** Within this time an instance knows that it hears no notifications, and serves nothing from its cache (G-17). */
const GAP_MS = 2200

/** Requests to every door that needs the store, each of which would succeed now. */
async function everyDoor(stack: FaultStack): Promise<Record<string, () => Promise<Answer>>> {
  const { native } = stack
  const returned = await stack.atProvider()
  const code = await stack.code()
  const [cold, warm, ending] = await Promise.all([native.login(), native.login(), native.login()])
  await native.call(warm.access_token)
  return {
    authorize: () => stack.authorize(native.begin()),
    callback: () => stack.callback(returned),
    token: () => native.redeem(code),
    refresh: () => native.refresh(cold.refresh_token),
    userinfo: () => native.call(cold.access_token, '/oauth2/userinfo'),
    'forward, cold': () => native.call(cold.access_token),
    'forward, warm': () => native.call(warm.access_token),
    revoke: () => native.revoke(ending.refresh_token),
  }
}

/**
 * While the store is lost, every door answers 503 within a second, and neither the provider nor the API is asked.
 * Afterwards the same requests succeed: nothing was lost, and nobody restarted anything.
 *
 * @param lose loses it; an instance that hears nothing may take two seconds to notice.
 */
export async function storeIsLost(
  t: Test,
  store: SharedStore,
  lose: (stack: FaultStack) => void,
  { silently = false } = {},
): Promise<void> {
  const stack = await startFaultedStack(t, store)
  const doors = await everyDoor(stack)
  stack.counts()
  lose(stack)
  if (silently) await new Promise((resolve) => setTimeout(resolve, GAP_MS))
  for (const round of ['at first', 'and in the middle']) {
    const answers = Object.entries(doors).map(async ([door, ask]) => {
      const { answer, tookMs } = await timed(ask)
      return { door, status: answer.status, tookMs }
    })
    for (const { door, status, tookMs } of await Promise.all(answers)) {
      t.equal(status, 503, `${door}: 503, ${round}`)
      t.ok(tookMs < OUTAGE_MS, `${door}: answered within ${Math.round(tookMs)} ms`)
    }
  }
  t.same(stack.counts(), { token: 0, revoke: 0, api: 0 }, 'neither the provider nor the API was asked')

  const recoveredMs = await stack.recover()
  t.comment(`recovered ${Math.round(recoveredMs)} ms after the store`)
  const expected: Record<string, number> = { authorize: 302, callback: 302 }
  for (const [door, ask] of Object.entries(doors)) {
    t.equal((await ask()).status, expected[door] ?? 200, `${door}: as if nothing had happened`)
  }
  t.same(leaks(stack.log(), stack.credentials()), [], 'no credential in the log (J-01)')
}
