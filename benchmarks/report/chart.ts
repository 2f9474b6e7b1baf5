import { loadInstalled } from '../project.ts'
import type { Summary } from '../summary.ts'

interface VegaLite {
  compile(specification: object): { spec: object }
}
interface Vega {
  parse(specification: object): object
  View: new (dataflow: object, options: { renderer: 'none' }) => { toSVG(): Promise<string> }
}

/** A case as an SVG bar chart: the median of each server, and the ends of its rounds. */
export async function chart(summary: Summary): Promise<string> {
  const { compile } = await loadInstalled<VegaLite>('vega-lite')
  const { parse, View } = await loadInstalled<Vega>('vega')
  return await new View(parse(compile(specification(summary)).spec), { renderer: 'none' }).toSVG()
}

function specification({ title, rows, base, metric }: Summary): object {
  const values = rows.flatMap(({ name, ratio }) => {
    if (name === base) return [{ server: name, ratio: 1, min: 1, max: 1, kind: 'base' }]
    if (ratio === undefined) return []
    const kind = name.startsWith('gateway') ? 'gateway' : 'other'
    return [{ server: name, ratio: ratio.median, min: ratio.min, max: ratio.max, kind }]
  })
  const y = { field: 'server', type: 'nominal', sort: null, title: null }
  const axis = metric === 'rate' ? 'ratio to the base, more is better' : 'ratio to the base, less is better'
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title,
    width: 480,
    background: 'white',
    data: { values },
    layer: [
      {
        mark: 'bar',
        encoding: {
          y,
          x: { field: 'ratio', type: 'quantitative', title: axis },
          color: {
            field: 'kind',
            type: 'nominal',
            legend: null,
            scale: { domain: ['base', 'gateway', 'other'], range: ['#9aa5b1', '#2563a8', '#c8cdd3'] },
          },
        },
      },
      { mark: 'rule', encoding: { y, x: { field: 'min', type: 'quantitative' }, x2: { field: 'max' } } },
      {
        mark: { type: 'text', align: 'left', dx: 4 },
        encoding: {
          y,
          x: { field: 'max', type: 'quantitative' },
          text: { field: 'ratio', type: 'quantitative', format: '.2f' },
        },
      },
    ],
  }
}
