/** docs/metrics.md, and everything that refers to the names in it. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { refusalReasons } from '../../gateway/http/refusals.ts'
import { type Definition, LABELS, METRICS } from '../../gateway/operations/metrics/definitions.ts'
import { LOGIN_STEPS } from '../../plugin/api/internal.ts'
import { reasons } from '../../plugin/oauth/errors.ts'
import { metricsPage, processMetrics } from '../support/metrics-page.ts'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

/** Of Prometheus itself, and of a histogram. */
const EVERYWHERE = ['instance', 'job']
const METRIC = /\b(?:pkce|process|nodejs)_[a-z0-9_]+/g

/** The names that there are, with their labels. */
async function knownNames(): Promise<Map<string, readonly string[]>> {
  const names = new Map<string, readonly string[]>()
  for (const [name, { type, labels }] of Object.entries<Definition>(METRICS)) {
    if (type !== 'histogram') names.set(name, labels)
    else {
      names.set(`${name}_bucket`, [...labels, 'le'])
      for (const end of ['sum', 'count']) names.set(`${name}_${end}`, labels)
    }
  }
  for (const { name } of await processMetrics()) names.set(name, [])
  return names
}

/** What an expression names that there is not: a metric, or a label that none of its metrics has. */
function unknownIn(expression: string, known: ReadonlyMap<string, readonly string[]>): string[] {
  const metrics = expression.match(METRIC) ?? []
  const labels = [...EVERYWHERE, ...metrics.flatMap((name) => known.get(name) ?? [])]
  const unknown = metrics.filter((name) => !known.has(name))
  for (const [, name, selectors] of expression.matchAll(/\b([a-z_]+)\{([^}]*)\}/g)) {
    const own = [...EVERYWHERE, ...(known.get(name!) ?? [])]
    for (const [, label] of selectors!.matchAll(/([a-z_]+)\s*[=!]/g)) {
      if (!own.includes(label!)) unknown.push(`${name}{${label}}`)
    }
  }
  for (const [, by] of expression.matchAll(/\b(?:by|without) \(([^)]*)\)/g)) {
    unknown.push(...by!.split(/,\s*/).filter((label) => !labels.includes(label)))
  }
  return metrics.length > 0 ? unknown : [`no metric in ${expression}`]
}

interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}
interface Dashboard {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly type: string; readonly query: string }[] }
}
interface Alerts {
  readonly groups: readonly {
    readonly rules: readonly { alert: string; expr: string; annotations: Record<string, string> }[]
  }[]
}

const dashboard = JSON.parse(read('deploy/grafana/dashboard.json')) as Dashboard
const alerts = parse(read('deploy/prometheus/alerts.yaml')) as Alerts
const queries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
const rules = alerts.groups.flatMap((group) => group.rules)

t.test('docs/metrics.md is what the table of the code says (npm run docs writes it, Q-04)', async (t) => {
  t.equal(read('docs/metrics.md'), await metricsPage())
})

t.test('every query of the dashboard names metrics and labels that there are (Q-04)', async (t) => {
  const known = await knownNames()
  t.ok(queries.length > 30)
  t.same(
    queries.flatMap((query) => unknownIn(query, known)),
    [],
  )
  const variables = dashboard.templating.list.filter(({ type }) => type === 'query')
  t.same(
    variables.map(({ query }) => /^label_values\(([a-z_]+), ([a-z_]+)\)$/.exec(query)!.slice(1)),
    [
      ['pkce_build_info', 'instance'],
      ['pkce_login_steps_total', 'client'],
    ],
  )
})

t.test('every alert names metrics and labels that there are, and says what it is about (Q-04)', async (t) => {
  const known = await knownNames()
  t.ok(rules.length > 10)
  t.same(
    rules.flatMap(({ expr }) => unknownIn(expr, known)),
    [],
  )
  t.same(
    rules.filter(({ annotations }) => !annotations.summary).map(({ alert }) => alert),
    [],
  )
})

t.test('what the queries select can be (Q-04)', async (t) => {
  const all = [...queries, ...rules.map(({ expr }) => expr)].join(' ')
  const selected = (label: string) =>
    [...all.matchAll(new RegExp(`\\b${label}(?:=|!=|=~)"([^"$]*)"`, 'g'))].flatMap(([, values]) =>
      values!.split('|'),
    )
  const known = [...reasons, ...refusalReasons] as string[]
  t.same(
    selected('reason').filter((reason) => !known.includes(reason)),
    [],
  )
  t.same(
    selected('event').filter((event) => !read('docs/events.md').includes(`\`${event}\``)),
    [],
  )
  for (const label of ['status', 'step', 'outcome', 'failure', 'result'] as const) {
    const values = selected(label).filter((value) => !/^[1-5]xx$/.test(value))
    t.same(
      values.filter((value) => !LABELS[label].includes(`\`${value}\``)),
      [],
      label,
    )
  }
})

t.test('a name or a label that there is not would be found', async (t) => {
  const known = await knownNames()
  t.same(unknownIn('sum by (rout) (rate(pkce_request_total{client="x"}[5m]))', known), [
    'pkce_request_total',
    'pkce_request_total{client}',
    'rout',
  ])
})

t.test('the dashboard shows every metric of ours, and each step of a login is explained', async (t) => {
  const shown = new Set([...queries, ...rules.map(({ expr }) => expr)].join(' ').match(METRIC))
  const hidden = Object.entries<Definition>(METRICS)
    .map(([name, { type }]) => (type === 'histogram' ? `${name}_bucket` : name))
    .filter((name) => !shown.has(name))
  t.same(hidden, [])
  const page = read('docs/metrics.md')
  t.same(
    LOGIN_STEPS.filter((step) => !page.includes(`\`${step}\``)),
    [],
  )
})
