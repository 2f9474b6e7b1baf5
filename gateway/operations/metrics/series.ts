import { BOUNDS_SECONDS, Durations } from '../../forward/exchange/durations.ts'

/** One line of a metric, as prom-client takes it. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  /** Of a histogram: with `_bucket`, `_sum` or `_count`. */
  readonly metricName?: string
}

/** Values by labels. For what does not happen in every forwarded request: each time the labels are joined to a key. */
export class Labelled<T> {
  readonly #names: readonly string[]
  readonly #make: () => T
  readonly #series = new Map<string, { readonly labels: Record<string, string>; readonly value: T }>()

  constructor(names: readonly string[], make: () => T) {
    this.#names = names
    this.#make = make
  }

  /** @param values in the order of the names; of a bounded number. */
  of(...values: readonly string[]): T {
    const key = values.join('\n')
    let series = this.#series.get(key)
    if (series === undefined) {
      const labels = Object.fromEntries(this.#names.map((name, at) => [name, values[at]!]))
      series = { labels, value: this.#make() }
      this.#series.set(key, series)
    }
    return series.value
  }

  *[Symbol.iterator](): IterableIterator<{ readonly labels: Record<string, string>; readonly value: T }> {
    yield* this.#series.values()
  }
}

/** A number that is counted up, or set. */
export interface Tally {
  value: number
}

/** @returns numbers by labels. */
export function tallies(...names: readonly string[]): Labelled<Tally> {
  return new Labelled(names, () => ({ value: 0 }))
}

/** @returns histograms by labels. */
export function histograms(...names: readonly string[]): Labelled<Durations> {
  return new Labelled(names, () => new Durations())
}

export function samplesOf(series: Labelled<Tally>): Sample[] {
  return [...series].map(({ labels, value: { value } }) => ({ labels, value }))
}

/** The lines of one histogram; none before it has counted anything. @param at which of the series in `durations`. */
export function histogramSamples(
  name: string,
  labels: Readonly<Record<string, string>>,
  durations: Durations,
  at = 0,
): Sample[] {
  const count = durations.count(at)
  if (count === 0) return []
  const metricName = `${name}_bucket`
  return [
    ...durations.cumulative(at).map((value, bucket) => ({
      ...{ metricName, value },
      labels: { ...labels, le: BOUNDS_SECONDS[bucket]! },
    })),
    { metricName, labels: { ...labels, le: '+Inf' }, value: count },
    { metricName: `${name}_sum`, labels, value: durations.sumSeconds(at) },
    { metricName: `${name}_count`, labels, value: count },
  ]
}
