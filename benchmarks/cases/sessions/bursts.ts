/** How the users of apps call: some calls for each page, then they read it. */
interface Habit {
  readonly sessions: number
  /** Calls of a burst, anywhere within so many seconds. */
  readonly calls: number
  readonly burstSeconds: number
  /** From one burst of a session to its next, on average. */
  readonly secondsBetween: number
}

const TICKS_PER_SECOND = 1000

/**
 * Whose calls follow whose: the calls of `secondsBetween` seconds in the order of their times, session by its number.
 * Bursts begin independently of each other, as those of many people do, so in that time a session has none, one, or
 * several. The last bursts go on at the beginning, so that the order can be repeated. It is the same each time.
 */
export function burstOrder({ sessions, calls, burstSeconds, secondsBetween }: Habit): readonly number[] {
  const ticks: number[][] = Array.from({ length: secondsBetween * TICKS_PER_SECOND }, () => [])
  const below = randomNumbers()
  for (let burst = 0; burst < sessions; burst += 1) {
    const session = below(sessions)
    const begins = below(ticks.length)
    for (let call = 0; call < calls; call += 1) {
      const at = (begins + below(burstSeconds * TICKS_PER_SECOND)) % ticks.length
      ticks[at]!.push(session)
    }
  }
  return ticks.flat()
}

/** A linear congruential generator: pseudo-random numbers below a limit, the same in each run. */
function randomNumbers(): (limit: number) => number {
  let state = 1
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}
