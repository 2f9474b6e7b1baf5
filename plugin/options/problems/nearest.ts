/** `; did you mean "x"?` for the candidate that `word` most likely misspells, or nothing. */
export function suggestion(word: string, candidates: readonly string[]): string {
  const nearest = nearestOf(word, candidates)
  const close =
    nearest !== undefined &&
    distance(fold(word), fold(nearest)) <= (word.length < 4 ? 1 : Math.max(2, word.length / 3))
  return close ? `; did you mean "${nearest}"?` : ''
}

/** The candidate with the fewest edits; case and underscores count for nothing. */
export function nearestOf(word: string, candidates: readonly string[]): string | undefined {
  const folded = fold(word)
  let nearest: string | undefined
  let fewest = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const edits = distance(folded, fold(candidate))
    if (edits < fewest) {
      nearest = candidate
      fewest = edits
    }
  }
  return nearest
}

function fold(word: string): string {
  return word.replaceAll(/[_-]/g, '').toLowerCase().slice(0, 100)
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const substitution = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1)
      current.push(Math.min(previous[column]! + 1, current[column - 1]! + 1, substitution))
    }
    previous = current
  }
  return previous[b.length]!
}
