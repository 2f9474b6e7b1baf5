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
