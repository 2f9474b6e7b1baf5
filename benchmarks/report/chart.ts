import { loadInstalled } from '../plan/project.ts'
import { trafficOf } from './headline.ts'
import { metrics } from './metrics.ts'
import type { Report } from './report.ts'
import type { Row, Summary } from './summary.ts'

interface VegaLite {
  compile(specification: object): { spec: object }
}
interface Vega {
  parse(specification: object): object
  View: new (dataflow: object, options: { renderer: 'none' }) => { toSVG(): Promise<string> }
}

/** Whose bar it is: ours has a colour, and the others are of two greys. */
export type Kind = 'gateway' | 'authenticates' | 'open'

/** A bar: the median of a server, and the ends of its rounds. */
export interface Bar {
  readonly server: string
  readonly ratio: number
  readonly min: number
  readonly max: number
  readonly kind: Kind
}

export interface Palette extends Readonly<Record<Kind, string>> {
  readonly ink: string
  readonly soft: string
  readonly line: string
  readonly box: string
}
/** For a light page and for a dark one. The background is left out: it is the page's. */
export const PALETTES: Readonly<Record<'light' | 'dark', Palette>> = {
  light: {
    ...{ ink: '#1f2328', soft: '#59636e', line: '#8c959f', box: '#f6f8fa' },
    ...{ gateway: '#0969da', authenticates: '#6e7781', open: '#c3cad2' },
  },
  dark: {
    ...{ ink: '#e6edf3', soft: '#9198a1', line: '#656c76', box: '#151b23' },
    ...{ gateway: '#4493f8', authenticates: '#9198a1', open: '#484f58' },
  },
}
/** The legend. */
export const KINDS: Readonly<Record<Kind, string>> = {
  gateway: 'the gateway',
  authenticates: 'authenticates',
  open: 'no authentication',
}

const FONT_SIZE = 12
/** Of its size, a letter of the usual fonts is at most so wide on average. */
const LETTER_WIDTH = 0.52

/** A case as an SVG bar chart. */
export async function chart(summary: Summary, machine: Report['machine'], palette: Palette): Promise<string> {
  const { compile } = await loadInstalled<VegaLite>('vega-lite')
  const { parse, View } = await loadInstalled<Vega>('vega')
  const { spec } = compile(specification(summary, caption(summary, machine), palette))
  return await new View(parse(spec), { renderer: 'none' }).toSVG()
}

/** The bars of a case, the best first. */
export function bars({ rows, base, metric }: Summary): Bar[] {
  const unsorted = rows.flatMap(({ name, title, authenticates, ratio, problem }: Row): Bar[] => {
    if (problem !== undefined) return []
    const kind = name.startsWith('gateway') ? 'gateway' : authenticates ? 'authenticates' : 'open'
    if (name === base) return [{ server: title, ratio: 1, min: 1, max: 1, kind }]
    if (ratio === undefined) return []
    return [{ server: title, ratio: ratio.median, min: ratio.min, max: ratio.max, kind }]
  })
  return unsorted.toSorted((a, b) =>
    metrics[metric].better === 'more' ? b.ratio - a.ratio : a.ratio - b.ratio,
  )
}

/** What is shown, in what unit, which way is better, and of when: a line each. */
export function caption({ name, metric, base, rows }: Summary, { node, date }: Report['machine']): string[] {
  const { words, better } = metrics[metric]
  const traffic = trafficOf(name)
  return [
    `${words}, ratio to ${rows.find((row) => row.name === base)?.title ?? base}; ${better} is better`,
    [`Node ${node}`, date.slice(0, 10), ...(traffic === undefined ? [] : [`for ${traffic}`])].join(', '),
  ]
}

function specification(summary: Summary, subtitle: readonly string[], palette: Palette): object {
  const values = bars(summary).map((bar) => ({ ...bar, kind: KINDS[bar.kind] }))
  const kinds = (Object.keys(KINDS) as Kind[]).filter((kind) =>
    values.some((bar) => bar.kind === KINDS[kind]),
  )
  const { ink, soft, line } = palette
  const longest = Math.max(...values.map(({ server }) => server.length))
  const left = 20 + longest * FONT_SIZE * LETTER_WIDTH
  const y = { field: 'server', type: 'nominal', sort: null, title: null, axis: { labelLimit: 0 } }
  const x = (field: string) => ({ field, type: 'quantitative', title: 'ratio' })
  const color = {
    field: 'kind',
    type: 'nominal',
    legend: { title: null, orient: 'bottom', direction: 'horizontal', offset: 10 },
    scale: { domain: kinds.map((kind) => KINDS[kind]), range: kinds.map((kind) => palette[kind]) },
  }
  const title = { text: summary.title, subtitle, anchor: 'start', frame: 'group', dx: 12 - left, offset: 12 }
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { ...title, color: ink, subtitleColor: soft, subtitleFontSize: FONT_SIZE },
    width: 400,
    height: { step: 22 },
    // By itself it would leave far too much room for the names: without a browser it cannot measure them.
    autosize: { type: 'none' },
    padding: { left, right: 60, top: 72, bottom: 70 },
    background: null,
    config: {
      font: 'sans-serif',
      view: { stroke: null },
      axis: {
        ...{ labelFontSize: FONT_SIZE, titleFontSize: FONT_SIZE, titleFontWeight: 'normal' },
        ...{
          labelColor: ink,
          titleColor: soft,
          domainColor: line,
          tickColor: line,
          gridColor: line,
          gridOpacity: 0.3,
        },
      },
      legend: {
        labelFontSize: FONT_SIZE,
        labelColor: ink,
        labelLimit: 0,
        symbolType: 'square',
        symbolStrokeWidth: 0,
      },
    },
    data: { values },
    layer: [
      { mark: 'bar', encoding: { y, x: x('ratio'), color } },
      { mark: { type: 'rule', color: ink }, encoding: { y, x: x('min'), x2: { field: 'max' } } },
      {
        mark: { type: 'text', align: 'left', dx: 5, fontSize: FONT_SIZE, color: ink },
        encoding: { y, x: x('max'), text: { field: 'ratio', type: 'quantitative', format: '.2f' } },
      },
    ],
  }
}
