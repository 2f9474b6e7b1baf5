/** Nothing came in time. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
}

/**
 * What `work` gives, or a rejection after `timeoutMs` or when `signal` aborts, whatever `work` does then.
 *
 * @throws TimeoutError; the reason of `signal`; what `work` throws.
 */
export async function within<T>(timeoutMs: number, work: Promise<T>, signal?: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  let abort = () => {}
  const end = new Promise<never>((_, reject) => {
    // A blocked event loop is not the server's silence: answers that have arrived are read first.
    timer = setTimeout(() => setImmediate(() => reject(new TimeoutError())), timeoutMs)
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
