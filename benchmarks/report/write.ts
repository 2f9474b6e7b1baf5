import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../plan/project.ts'
import { chart } from './chart.ts'
import { markdown } from './markdown.ts'
import type { Report } from './report.ts'

/**
 * Writes `results.json`, `results.md` and a chart of each case; with `docs`, docs/benchmarks.md and its charts.
 *
 * @returns what could not be drawn, and why; empty if all is well.
 */
export async function writeReport(report: Report, folder: string, docs: boolean): Promise<string[]> {
  const folders = docs ? [folder, join(root, 'docs')] : [folder]
  // Charts of a run before, of cases that are not in this one.
  if (docs) rmSync(join(root, 'docs', 'benchmarks'), { recursive: true, force: true })
  for (const one of folders) mkdirSync(join(one, 'benchmarks'), { recursive: true })
  writeResults(report, folder)
  const problems: string[] = []
  const charts = new Map<string, string>()
  for (const summary of report.summaries.filter(({ rows }) => rows.some(({ ratio }) => ratio))) {
    try {
      const svg = await chart(summary)
      for (const one of folders) writeFileSync(join(one, 'benchmarks', `${summary.name}.svg`), svg)
      charts.set(summary.name, `benchmarks/${summary.name}.svg`)
    } catch (error) {
      problems.push(`no chart of ${summary.name}: ${(error as Error).message.split('\n')[0]}`)
    }
  }
  const text = markdown(report, (name) => charts.get(name))
  writeFileSync(join(folder, 'results.md'), text)
  if (docs) writeFileSync(join(root, 'docs', 'benchmarks.md'), text)
  return problems
}

/** Writes `results.json`, which is all that `--compare` and `--continue` need. */
export function writeResults(report: Report, folder: string): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(report, null, 1)}\n`)
}
