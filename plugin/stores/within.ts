import { setTimeout as sleep } from 'node:timers/promises'

/** The error of a deadline: the platform's own, as `AbortSignal.timeout` has it. Its message is safe to log. */
export function timeoutError(timeoutMs: number): DOMException {
  return new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError')
}

/** True for `timeoutError`, and for the reason of an `AbortSignal.timeout`. */
export function isTimeout(error: unknown): error is DOMException {
  return error instanceof DOMException && error.name === 'TimeoutError'
}

/**
 * What `work` gives, or a rejection after `timeoutMs` or when `signal` aborts, whatever `work` does then.
 *
 * @throws timeoutError; the reason of `signal`; what `work` throws.
 */
export async function within<T>(timeoutMs: number, work: Promise<T>, signal?: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  let abort = () => {}
  const end = new Promise<never>((_, reject) => {
    // A blocked event loop is not the server's silence: answers that have arrived are read first.
    timer = setTimeout(() => setImmediate(() => reject(timeoutError(timeoutMs))), timeoutMs)
    abort = () => reject(signal?.reason)
  })
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort)
  try {
    return await Promise.race([work, end])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

/** Between two attempts of `persistently`. */
const RETRY_MS = 100

/**
 * What `attempt` gives, which is made again while it fails for a reason that may pass, for `forMs`.
 *
 * @param attempt gets the time that is left, in milliseconds. @throws what the last attempt throws.
 */
export async function persistently<T>(
  forMs: number,
  mayPass: (error: unknown) => boolean,
  attempt: (leftMs: number) => Promise<T>,
): Promise<T> {
  const endsAt = performance.now() + forMs
  // One that is cut off at once knows less than the one before it.
  const isOver = (inMs: number) => performance.now() + inMs >= endsAt
  for (;;) {
    try {
      return await attempt(Math.ceil(endsAt - performance.now()))
    } catch (error) {
      if (!mayPass(error) || isOver(2 * RETRY_MS)) throw error
      await sleep(RETRY_MS)
      // The process may have stood still meanwhile.
      if (isOver(RETRY_MS / 2)) throw error
    }
  }
}
