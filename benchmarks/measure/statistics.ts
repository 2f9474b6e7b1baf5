/** Several measurements of one thing: the middle, the ends, and all of them. */
export interface Rounds {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly raw: readonly number[]
}

/** @param raw at least one. */
export function rounds(raw: readonly number[]): Rounds {
  const sorted = raw.toSorted((a, b) => a - b)
  return { median: median(sorted), min: sorted[0]!, max: sorted.at(-1)!, raw }
}

/** Less than 5 % apart is "the same": so much a thing differs from itself. */
export const SAME = 0.05

/** What two series of rounds say of each other: a change counts if it is over 5 % and larger than their spread. */
export function changed(before: Rounds, after: Rounds): 'faster' | 'slower' | 'same' {
  const change = after.median / before.median - 1
  const apart = after.min > before.max || after.max < before.min
  if (!apart || Math.abs(change) <= SAME) return 'same'
  return change > 0 ? 'faster' : 'slower'
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
