import { setTimeout as pause } from 'node:timers/promises'

/** Waits for what should come, and not for ever. @returns false if it has not come after so many milliseconds. */
export async function comes(what: Promise<unknown>, withinMs: number): Promise<boolean> {
  const over = new AbortController()
  const late = pause(withinMs, false, { signal: over.signal }).catch(() => false)
  try {
    return await Promise.race([what.then(() => true), late])
  } finally {
    over.abort()
  }
}
