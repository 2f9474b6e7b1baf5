/** Random choices in which nothing is left out: every card is drawn once before the first comes again. */
export class Deck<Card> {
  readonly #cards: readonly Card[]
  #left: Card[] = []

  constructor(cards: readonly Card[]) {
    this.#cards = cards
  }

  /** The next one that is wanted. Those before it stay for others. */
  draw(isWanted: (card: Card) => boolean = () => true): Card {
    for (;;) {
      const index = this.#left.findIndex(isWanted)
      if (index >= 0) return this.#left.splice(index, 1)[0]!
      if (!this.#cards.some(isWanted)) throw new Error('no card is wanted')
      this.#left.push(...shuffled(this.#cards))
    }
  }
}

/** So many of each. */
export function cards<Card>(...counts: (readonly [count: number, card: Card])[]): Card[] {
  return counts.flatMap(([count, card]) => new Array<Card>(count).fill(card))
}

function shuffled<Card>(cards: readonly Card[]): Card[] {
  const result = [...cards]
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1))
    const card = result[last]!
    result[last] = result[other]!
    result[other] = card
  }
  return result
}
