import { writeFileSync } from 'node:fs'
import { type Definition, LABELS, METRICS } from '../../gateway/operations/metrics/definitions.ts'
import { createExposition } from '../../gateway/operations/metrics/exposition.ts'
import { Metrics } from '../../gateway/operations/metrics/metrics.ts'

/** docs/metrics.md: every metric, its labels, and what their values can be. */

const HEAD = `# Metrics

<!-- Made by \`npm run docs\` out of the table of the code. -->

\`GET /metrics\` on the admin listener answers in Prometheus' text format. It needs \`prom-client\`: \`npm install prom-client@15\`.
Without it the gateway starts, counts nothing, and \`/metrics\` answers 501 with that command. \`admin.metrics: false\`
turns it off.

Counting costs a forwarded request a few additions: no label is looked up, and nothing is allocated. Counts outlive a
reload. With \`workers\` the answer is the sum of all processes. What a worker has counted when it was last asked is kept
after its end, so that no count goes back; what it has counted after that is lost with it.

The labels have names out of the configuration and of this package alone: no caller can make a new series.

\`deploy/grafana/dashboard.json\` and \`deploy/prometheus/alerts.yaml\` use these names.

## Metrics of the gateway

| Name | Type | Labels | What |
|---|---|---|---|
`

const LABEL_HEAD = `
## Labels

| Label | Values |
|---|---|
`

const OTHERS = `
## Metrics of the process

By prom-client. With workers: of all processes together, as their kind demands (sums of bytes and seconds, means of the
delays of the event loop); \`process_start_time_seconds\` is left out then.
prom-client is loaded, and these begin to be counted, at the first scrape.

| Name | Type | What |
|---|---|---|
`

/** Those that prom-client makes of a process. */
export async function processMetrics(): Promise<{ name: string; type: string; help: string }[]> {
  const data = await createExposition(new Metrics()).data()
  return data
    .filter(({ name }) => !name.startsWith('pkce_'))
    .map(({ name, type, help }) => ({ name, type: String(type), help }))
}

/** docs/metrics.md as it should be. */
export async function metricsPage(): Promise<string> {
  const ours = Object.entries<Definition>(METRICS).map(
    ([name, { type, labels, help }]) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |\n`,
  )
  const labels = Object.entries(LABELS).map(([label, values]) => `| \`${label}\` | ${values} |\n`)
  const others = (await processMetrics()).map(
    ({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |\n`,
  )
  return HEAD + ours.join('') + LABEL_HEAD + labels.join('') + OTHERS + others.join('')
}

if (process.argv[2] === '--write') {
  writeFileSync(new URL('../../docs/metrics.md', import.meta.url), await metricsPage())
}
