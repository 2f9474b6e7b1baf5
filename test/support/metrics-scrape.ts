/** What a scrape said, read as Prometheus reads it. */

export interface ScrapedSample {
  /** With `_bucket`, `_sum` or `_count`, as it was sent. */
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Scraped {
  /** By name of the metric. */
  readonly types: ReadonlyMap<string, string>
  readonly samples: readonly ScrapedSample[]
  /** The sum of the samples with these labels. */
  value(name: string, labels?: Readonly<Record<string, string>>): number
}

/** @param adminUrl of the admin listener. @throws Error for another status than 200. */
export async function scrape(adminUrl: string): Promise<Scraped> {
  const response = await fetch(`${adminUrl}/metrics`)
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${response.status} ${text}`)
  return readMetrics(text)
}

function readMetrics(text: string): Scraped {
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]))
  const samples = [...text.matchAll(/^([a-z_]+)(?:\{(.*)\})? (\S+)$/gm)].map(
    ([, name, labels = '', value]) => ({
      name: name!,
      labels: Object.fromEntries(
        [...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, text]) => [label!, text!]),
      ),
      value: Number(value),
    }),
  )
  return {
    types,
    samples,
    value: (name, wanted = {}) =>
      samples
        .filter(
          (sample) =>
            sample.name === name &&
            Object.entries(wanted).every(([label, value]) => sample.labels[label] === value),
        )
        .reduce((sum, { value }) => sum + value, 0),
  }
}

/** Without what a histogram appends. */
export function metricOf(name: string, types: ReadonlyMap<string, string>): string {
  const base = name.replace(/_(?:bucket|sum|count)$/, '')
  return types.get(base) === 'histogram' ? base : name
}
