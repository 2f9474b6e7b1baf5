import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'

/**
 * docs/requirements.md is where every cited id can be read. What is cited is there, and what is there is tested, or
 * says why not.
 */
const ROOT = new URL('../../', import.meta.url)
const PAGE = 'docs/requirements.md'
const CITING_FOLDERS = ['plugin', 'gateway', 'test', 'examples', 'benchmarks', 'docs']
const CITING_FILES = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md']
const STATUS = /^(?:tested|(?:partly|not built|not applicable|by review): \S.*)$/
const TEXT = /\.(?:ts|js|md|ya?ml|html|sh)$/
/** It cites ids as examples only. */
const THIS_FILE = 'test/docs/requirements.test.ts'

/** One rule: a row of a table, or an appendix. */
interface Requirement {
  readonly id: string
  /** What the row holds, its id first; an appendix has its id and its status alone. */
  readonly cells: readonly string[]
  readonly status: string
}

// The number has two digits, but for the platform facts: `UTF-8`, `SHA-256`, `P-256` and `CRC-16` are no ids.
const ID = String.raw`(?:SC|[A-HJ-OQS])-\d\d|P-[1-9]\d?`
const CITED_ID = new RegExp(String.raw`(?<![\w-])(${ID})(?:(?: to |–|\.\.)(${ID}))?(?![\w-])`, 'g')
const OF_AN_RFC = /RFC \d+(?:,? (?:and )?(?:§[\d.]+|Appendix [A-Z](?:\.\d+)?))+/g
const APPENDIX = /\bAppendix [A-Z]\b/g

/** The ids that a text cites, ranges in full. */
function citedIds(text: string): Set<string> {
  const ids = new Set<string>()
  // A comment breaks its lines where it likes.
  const flat = text.replace(/\n\s*(?:\*|\/\/)?\s*/g, ' ').replace(OF_AN_RFC, '')
  for (const [appendix] of flat.matchAll(APPENDIX)) ids.add(appendix)
  for (const [, first, last] of flat.matchAll(CITED_ID)) {
    for (const id of last === undefined ? [first!] : range(first!, last)) ids.add(id)
  }
  return ids
}

function range(first: string, last: string): string[] {
  const { section, number, digits } = partsOf(first)
  const end = partsOf(last)
  if (section !== end.section || number >= end.number) return [`${first} to ${last}`]
  return Array.from(
    { length: end.number - number + 1 },
    (_, n) => `${section}-${String(number + n).padStart(digits, '0')}`,
  )
}

function partsOf(id: string): { section: string; number: number; digits: number } {
  const [section = '', digits = ''] = id.split('-')
  return { section, number: Number(digits), digits: section === 'P' ? 1 : digits.length }
}

/** The rows of the page by their headings, and its appendices. */
function readRequirements(page: string): Map<string, Requirement[]> {
  const sections = new Map<string, Requirement[]>()
  for (const part of page.split(/^## /m).slice(1)) {
    const heading = part.slice(0, part.indexOf('\n'))
    const [appendix] = /^Appendix [A-Z]/.exec(heading) ?? []
    const status = /^Status: (.+)$/m.exec(part)?.[1] ?? ''
    sections.set(heading, appendix ? [{ id: appendix, cells: [appendix, status], status }] : rowsOf(part))
  }
  return sections
}

function rowsOf(section: string): Requirement[] {
  return section
    .split('\n')
    .filter((line) => new RegExp(String.raw`^\| (?:${ID}) \|`).test(line))
    .map((line) => {
      const cells = cellsOf(line)
      return { id: cells[0]!, cells, status: cells.at(-1)! }
    })
}

/** As a renderer of GitHub's Markdown sees the row: a bare `|` ends a cell, inside of code too. */
function cellsOf(line: string): string[] {
  return line
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim())
}

function read(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

function citingFiles(): string[] {
  const inFolders = CITING_FOLDERS.flatMap((folder) =>
    readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' })
      .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
      .filter((path) => TEXT.test(path) && !/\/(?:node_modules|\.[^/]+)\//.test(path)),
  )
  return [...inFolders, ...CITING_FILES].filter((path) => path !== THIS_FILE)
}

const page = read(PAGE)
const sections = readRequirements(page)
const requirements = [...sections.values()].flat()
const known = new Set(requirements.map(({ id }) => id))
const citations = new Map(citingFiles().map((path) => [path, citedIds(read(path))]))
/** What a tool of the tests cites proves nothing. */
const tested = new Set(
  [...citations]
    .filter(([path]) => path.startsWith('test/') && !path.startsWith('test/support/'))
    .flatMap(([, ids]) => [...ids]),
)

t.test('an id is told from what looks like one', async (t) => {
  const text =
    'UTF-8, SHA-256, AES-256, CRC-16, SSH-2, BSD-3, P-256, P-384, CVE-2026-1234, CWE-79, I-01, X-12, A-1'
  t.same([...citedIds(text)], [])
  t.same([...citedIds('(RFC 9110 §9.1, C-12; SC-08, P-5, P-16)')], ['C-12', 'SC-08', 'P-5', 'P-16'])
  t.same([...citedIds('H-12 to\n * H-14, H-20')], ['H-12', 'H-13', 'H-14', 'H-20'])
  t.same([...citedIds('A-20 to C-22')], ['A-20 to C-22'], 'a range over two sections is none')
  t.same([...citedIds('RFC 7636 Appendix B, RFC 6749 §3.3, Appendix A.4, RFC 6749 §3.1 and Appendix B')], [])
  t.same([...citedIds('RFC 5869 §2, Appendix A; G-04, Appendix C')], ['Appendix C', 'G-04'])
})

t.test('every id that is cited can be read in docs/requirements.md', async (t) => {
  t.ok(citations.size > 100, 'the files are found')
  const unknown = [...citations].flatMap(([path, ids]) =>
    [...ids].filter((id) => !known.has(id)).map((id) => `${path} cites ${id}`),
  )
  t.same(unknown, [])
})

t.test('every requirement is cited by a test, or says why not', async (t) => {
  t.ok(requirements.length > 200, 'the rows are found')
  t.same(requirements.map(statusProblem).filter(Boolean), [])
  for (const { id, status } of requirements)
    if (!tested.has(id)) t.comment(`without a test: ${id}, ${status}`)
})

function statusProblem({ id, status }: Requirement): string | undefined {
  const isCited = tested.has(id)
  if (!STATUS.test(status)) return `${id}: "${status}" is no status`
  if (/^(?:tested|partly)/.test(status) && !isCited) return `${id}: no test cites it, and it is "${status}"`
  if (status.startsWith('not') && isCited) return `${id}: a test cites it, and it is "${status}"`
  return undefined
}

t.test('ids are there once, and in order within their section', async (t) => {
  const ids = requirements.map(({ id }) => id)
  t.same(
    ids.filter((id, index) => ids.indexOf(id) !== index),
    [],
    'once',
  )
  const misplaced = [...sections.values()].flatMap((rows) =>
    rows.slice(1).filter(({ id }, index) => !follows(rows[index]!.id, id)),
  )
  t.same(
    misplaced.map(({ id }) => id),
    [],
    'in order',
  )
})

function follows(before: string, id: string): boolean {
  const [one, other] = [partsOf(before), partsOf(id)]
  return one.section === other.section && one.number < other.number
}

t.test('every row has all of its cells, and renders as a table', async (t) => {
  const broken = [...sections].flatMap(([heading, rows]) => {
    const columns = heading === 'Platform facts' ? 4 : 5
    return rows.filter(({ id, cells }) => !id.startsWith('Appendix') && !isWhole(cells, columns))
  })
  t.same(
    broken.map(({ id }) => id),
    [],
  )
})

/** A bare `|` in code makes a cell too many, and halves of code in two cells. */
function isWhole(cells: readonly string[], columns: number): boolean {
  const isClosed = (cell: string) => cell !== '' && cell.split('`').length % 2 === 1
  return cells.length === columns && cells.every(isClosed)
}
