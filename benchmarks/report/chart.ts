import { loadInstalled } from '../plan/project.ts'
import type { Row, Summary } from './summary.ts'

interface VegaLite {
  compile(specification: object): { spec: object }
}
interface Vega {
  parse(specification: object): object
  View: new (dataflow: object, options: { renderer: 'none' }) => { toSVG(): Promise<string> }
}

/** A bar: the median of a server, and the ends of its rounds. */
export interface Bar {
  readonly server: string
  readonly ratio: number
  readonly min: number
  readonly max: number
  readonly kind: 'base' | 'gateway' | 'other'
}

const FONT_SIZE = 12
/** Of its size, a letter of the usual fonts is at most so wide on average. */
const LETTER_WIDTH = 0.52

const COLOURS = { base: '#7b8794', gateway: '#2563a8', other: '#c3cad2' }

/** A case as an SVG bar chart. */
export async function chart(summary: Summary): Promise<string> {
  const { compile } = await loadInstalled<VegaLite>('vega-lite')
  const { parse, View } = await loadInstalled<Vega>('vega')
  return await new View(parse(compile(specification(summary)).spec), { renderer: 'none' }).toSVG()
}

/** The bars of a case, the best first. */
export function bars({ rows, base, metric }: Summary): Bar[] {
  const unsorted = rows.flatMap(({ name, title, ratio, problem }: Row): Bar[] => {
    if (problem !== undefined) return []
    if (name === base) return [{ server: title, ratio: 1, min: 1, max: 1, kind: 'base' }]
    if (ratio === undefined) return []
    const kind = name.startsWith('gateway') ? 'gateway' : 'other'
    return [{ server: title, ratio: ratio.median, min: ratio.min, max: ratio.max, kind }]
  })
  return unsorted.toSorted((a, b) => (metric === 'rate' ? b.ratio - a.ratio : a.ratio - b.ratio))
}

function specification(summary: Summary): object {
  const values = bars(summary)
  const longest = Math.max(...values.map(({ server }) => server.length))
  const left = 20 + longest * FONT_SIZE * LETTER_WIDTH
  const y = { field: 'server', type: 'nominal', sort: null, title: null, axis: { labelLimit: 0 } }
  const what = { rate: 'requests per second', p99: '99th percentile', memory: 'growth of memory' }
  const direction = summary.metric === 'rate' ? 'more is better' : 'less is better'
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: summary.title, anchor: 'start', frame: 'group', dx: 12 - left, offset: 12 },
    width: 400,
    height: { step: 22 },
    // By itself it would leave far too much room for the names: without a browser it cannot measure them.
    autosize: { type: 'none' },
    padding: { left, right: 60, top: 40, bottom: 50 },
    background: 'white',
    config: {
      font: 'sans-serif',
      axis: { labelFontSize: FONT_SIZE, titleFontSize: FONT_SIZE, titleFontWeight: 'normal' },
    },
    data: { values },
    layer: [
      {
        mark: 'bar',
        encoding: {
          y,
          x: {
            field: 'ratio',
            type: 'quantitative',
            title: `${what[summary.metric]}, ratio to the base; ${direction}`,
          },
          color: {
            field: 'kind',
            type: 'nominal',
            legend: null,
            scale: { domain: Object.keys(COLOURS), range: Object.values(COLOURS) },
          },
        },
      },
      { mark: 'rule', encoding: { y, x: { field: 'min', type: 'quantitative' }, x2: { field: 'max' } } },
      {
        mark: { type: 'text', align: 'left', dx: 5, fontSize: FONT_SIZE },
        encoding: {
          y,
          x: { field: 'max', type: 'quantitative' },
          text: { field: 'ratio', type: 'quantitative', format: '.2f' },
        },
      },
    ],
  }
}
