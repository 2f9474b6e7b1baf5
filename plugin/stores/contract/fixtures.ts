import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type Store, StoreError, type StoreWatcher } from '../store.ts'

/** How long a store may take to fail, or to notify: a second, and as much again for a busy machine. */
export const BOUND_MS = 2000
/** Long enough that nothing expires unless a case says so. */
export const LONG_MS = 60_000
/** On a real clock, long enough for the calls before it to be over on a slow machine. */
export const SHORT_MS = 1000
/** Outlives two races on a slow server and a busy machine. */
export const RACE_MS = 2000
export const PARALLEL = 200

/** Keys that no other case and no other run uses: real servers keep what was written. */
export function fresh(): string {
  return `contract:${randomBytes(12).toString('hex')}`
}

/** Which of the parallel callers were told that they won. */
export async function race(attempt: (n: number) => Promise<boolean>): Promise<number[]> {
  const won = await Promise.all(Array.from({ length: PARALLEL }, (_, n) => attempt(n)))
  return won.flatMap((yes, n) => (yes ? [n] : []))
}

export async function mustRead(store: Store, key: string) {
  const record = await store.read(key)
  assert.ok(record !== null, 'the record must be there')
  return record
}

export function sameMembers(actual: string[], expected: string[]): void {
  assert.equal(actual.length, expected.length)
  assert.deepEqual(new Set(actual), new Set(expected))
}

/** Every call that asks the store's server. */
export function calls(store: Store, key: string, version: number): [string, () => Promise<unknown>][] {
  return [
    ['create', () => store.create(`${key}:new`, 'value', LONG_MS)],
    ['read', () => store.read(key)],
    ['replace', () => store.replace(key, version, 'value', LONG_MS)],
    ['reserve', () => store.reserve(`${key}:new`, LONG_MS)],
    ['addToIndex', () => store.addToIndex([key], 'member', LONG_MS)],
    ['readIndex', () => store.readIndex(key)],
    ['removeFromIndex', () => store.removeFromIndex([key], 'member')],
    ['check', () => store.check()],
  ]
}

export async function mustFail(operation: string, call: () => Promise<unknown>): Promise<void> {
  const error = await mustSettle(`${operation} must fail`, call()).then(
    () => assert.fail(`${operation} must throw StoreError, not answer`),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof StoreError, `${operation} must throw StoreError, not ${String(error)}`)
  assert.equal(error.statusCode, 503)
}

/** A watcher that remembers, and can be asked to wait for what it should see. */
export function watcher() {
  const waiting = new Set<() => void>()
  const notes = {
    changes: [] as string[],
    gaps: 0,
    resumed: 0,
    onChange(key) {
      notes.changes.push(key)
      for (const look of waiting) look()
    },
    onGap() {
      notes.gaps += 1
    },
    onResume() {
      notes.resumed += 1
    },
    /** Resolves when `key` has been notified `times` times. */
    async seen(key: string, times: number): Promise<void> {
      const arrived = () => notes.changes.filter((changed) => changed === key).length >= times
      if (arrived()) return
      let look = () => {}
      const arrival = new Promise<void>((resolve) => {
        look = () => {
          if (arrived()) resolve()
        }
        waiting.add(look)
      })
      await mustSettle('the notification of a replace must arrive', arrival).finally(() =>
        waiting.delete(look),
      )
    },
  } satisfies StoreWatcher & Record<string, unknown>
  return notes
}

/** What `promise` gives. @throws AssertionError, which says `what`, when it takes longer than `BOUND_MS`. */
export async function mustSettle<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new assert.AssertionError({ message: `${what} within ${BOUND_MS} ms` })),
      BOUND_MS,
    )
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Tries until `attempt` succeeds: reconnection takes the time it takes. */
export async function eventually(what: string, attempt: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + 10 * BOUND_MS
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > deadline) assert.fail(`${what}: ${String(error)}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
