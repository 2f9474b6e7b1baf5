import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../plan/project.ts'
import { chart, PALETTES } from './chart.ts'
import { byNode } from './format.ts'
import { details, detailsPath, markdown } from './markdown.ts'
import type { Report } from './report.ts'

/**
 * Writes `results.md`, and below `benchmarks/` a page for each Node and a chart of each case, light and dark. With
 * `docs`, the same as docs/benchmarks.md, with the results that it can be written from again.
 *
 * @param reports the oldest Node first.
 * @returns what could not be drawn, and why; empty if all is well.
 */
export async function writeReports(
  reports: readonly Report[],
  folder: string,
  docs: boolean,
): Promise<string[]> {
  const published = join(root, 'docs')
  const folders = docs ? [folder, published] : [folder]
  // Charts of a run before, of cases that are not in this one.
  if (docs) rmSync(join(published, 'benchmarks'), { recursive: true, force: true })
  const write = (path: string, text: string) => {
    for (const one of folders) writeFileSync(join(one, path), text)
  }
  for (const one of folders) mkdirSync(join(one, 'benchmarks'), { recursive: true })
  const { charts, problems } = await draw(reports, write)
  for (const report of reports) write(detailsPath(report), details(report))
  const text = markdown(reports, (name) => charts.get(name))
  writeFileSync(join(folder, 'results.md'), text)
  if (docs) {
    writeFileSync(join(published, 'benchmarks.md'), text)
    // The slices would be megabytes, and the rounds are in the summaries.
    for (const report of reports) writeJson(join(published, dataPath(report)), { ...report, raw: {} })
  }
  return problems
}

/** Writes `results.json`, which is all that a report is written from. */
export function writeResults(report: Report, folder: string): void {
  mkdirSync(folder, { recursive: true })
  writeJson(join(folder, 'results.json'), report)
}

/** A chart of each case, of the newest Node that it was measured on. */
async function draw(reports: readonly Report[], write: (path: string, text: string) => void) {
  const problems: string[] = []
  const charts = new Map<string, string>()
  for (const { name, summaries } of byNode(reports)) {
    const newest = summaries.findLastIndex((summary) => summary?.rows.some(({ ratio }) => ratio))
    if (newest === -1) continue
    try {
      for (const [theme, palette] of Object.entries(PALETTES))
        write(
          `benchmarks/${name}-${theme}.svg`,
          await chart(summaries[newest]!, reports[newest]!.machine, palette),
        )
      charts.set(name, `benchmarks/${name}`)
    } catch (error) {
      problems.push(`no chart of ${name}: ${(error as Error).message.split('\n')[0]}`)
    }
  }
  return { charts, problems }
}

function dataPath(report: Report): string {
  return detailsPath(report).replace(/md$/, 'json')
}

function writeJson(file: string, report: Report): void {
  writeFileSync(file, `${JSON.stringify(report, null, 1)}\n`)
}
