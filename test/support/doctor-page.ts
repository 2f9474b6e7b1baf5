import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { CATALOGUE } from '../../gateway/operations/doctor/catalogue.ts'

const PAGE = new URL('../../docs/operate.md', import.meta.url)
const [BEGIN, END] = ['<!-- findings of doctor: made by `npm run docs` -->\n', '<!-- end of findings -->\n']

/** The table of findings, as it should stand in docs/operate.md. */
export function findingsTable(): string {
  const rows = Object.entries<{ status: string; found: string; advice?: string }>(CATALOGUE).map(
    ([code, { status, found, advice = '' }]) => `| \`${code}\` | ${status} | ${found} | ${advice} |\n`,
  )
  return `\n| Code | Status | What is | What to do |\n|---|---|---|---|\n${rows.join('')}\n`
}

/** The table that stands there. */
export function writtenFindings(): string {
  const page = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : ''
  return page.split(BEGIN)[1]?.split(END)[0] ?? ''
}

if (process.argv[2] === '--write') {
  const [before = '', rest = ''] = readFileSync(PAGE, 'utf8').split(BEGIN)
  const [, after = ''] = rest.split(END)
  writeFileSync(PAGE, before + BEGIN + findingsTable() + END + after)
}
