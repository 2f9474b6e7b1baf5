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
