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

const MAX_REMEMBERED = 1000
const MAX_NAME_LENGTH = 64

/**
 * What to do with a header field, decided once per spelling of its name.
 *
 * Most requests use the same few dozen spellings. The memory is bounded: names come from strangers, and one
 * that finds it full is decided again each time.
 */
export class FieldRules<Rule> {
  readonly #remembered = new Map<string, Rule>()
  readonly #decide: (name: string) => Rule

  /** @param decide pure; gets the name as received. */
  constructor(decide: (name: string) => Rule) {
    this.#decide = decide
  }

  of(name: string): Rule {
    const remembered = this.#remembered.get(name)
    if (remembered !== undefined) return remembered
    const rule = this.#decide(name)
    if (this.#remembered.size < MAX_REMEMBERED && name.length <= MAX_NAME_LENGTH) {
      this.#remembered.set(name, rule)
    }
    return rule
  }
}

const WEBSOCKET = /(?:^|[\s,])websocket(?:$|[\s,/])/i

/** True if the protocol is one of the members of an Upgrade field (RFC 9110 §7.8). */
export function asksForWebSocket(upgrade: string): boolean {
  return WEBSOCKET.test(upgrade)
}
