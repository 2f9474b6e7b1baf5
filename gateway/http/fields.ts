/** The options that most messages have; they name no field. */
const PLAIN = /^(?:keep-alive|close)$/i

/**
 * The lower-case field names, and other options, of a Connection field; none for its everyday values.
 * Source: RFC 9110 §7.6.1.
 */
export function connectionOptions(connection: string | undefined): readonly string[] {
  if (connection === undefined || PLAIN.test(connection)) return []
  return connection
    .toLowerCase()
    .split(',')
    .map((option) => option.trim())
    .filter((option) => option !== '')
}

/** Removes the fields of a flat list whose names are among `names` (lower-case), in place. */
export function removeFields(fields: string[], names: readonly string[]): void {
  if (names.length === 0) return
  const removed = new Set(names)
  let kept = 0
  for (let i = 0; i < fields.length; i += 2) {
    if (removed.has(fields[i]!.toLowerCase())) continue
    fields[kept++] = fields[i]!
    fields[kept++] = fields[i + 1]!
  }
  fields.length = kept
}
