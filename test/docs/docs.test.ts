import { existsSync, readFileSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import t from 'tap'
import { anchorsOf, linksOf, pages, REPOSITORY, readPage } from '../support/doc-pages.ts'
import { findingsTable, writtenFindings } from '../support/doctor-page.ts'
import { errorsPage } from '../support/errors-page.ts'
import { documents, withExamples } from '../support/examples-in-docs.ts'
import { optionTypes, typesOf } from '../support/option-types.ts'
import { optionsPage } from '../support/options-page.ts'
import { readmeImages } from '../support/readme-images.ts'

const README_WORDS_MAX = 900
/** A file of this repository by its address. */
const OURS = new RegExp(`^${REPOSITORY}(?:blob|tree|raw)/main/(.*)$`)

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const readme = read('README.md')
/** The code blocks of a language, in order. */
const blocks = (language: string, page = readme) =>
  [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter((match) => match[1] === language)
    .map((match) => match[2]!)

t.test('docs/options.md is what the schemas say (npm run docs writes it)', async (t) => {
  t.equal(read('docs/options.md'), optionsPage())
})

t.test('docs/errors.md is what the tables of reasons say (npm run docs writes it)', async (t) => {
  t.equal(read('docs/errors.md'), errorsPage())
})

t.test('docs/operate.md has every finding of doctor (npm run docs writes it, Q-09)', async (t) => {
  t.equal(writtenFindings(), findingsTable())
})

t.test('the types of the options are what the schemas say (npm run docs writes them, SC-11)', async (t) => {
  for (const page of optionTypes) t.equal(read(page.path), typesOf(page), page.path)
})

t.test('every option says why it is there', async (t) => {
  const silent = optionsPage()
    .split('\n')
    .filter((line) => line.startsWith('| `') && line.endsWith('|  |'))
  t.same(silent, [])
})

t.test('the examples in the documents are those that run (npm run docs puts them in)', async (t) => {
  for (const path of documents) {
    t.equal(read(path), withExamples(path), path)
    const shown = [...read(path).matchAll(/<!-- (examples\/[^ ]+) -->/g)]
    t.ok(shown.length > 0)
  }
})

t.test('the README names exactly one command to run and one to test', async (t) => {
  const commands = blocks('sh').join('').trim().split('\n')
  t.equal(commands.filter((line) => line === 'npm ci && npm start').length, 1)
  t.equal(commands.filter((line) => line === 'npm cit').length, 1)
})

t.test('the README has at most 900 words, code and all', async (t) => {
  const words = readme.split(/\s+/).filter(Boolean).length
  t.ok(words <= README_WORDS_MAX, `${words} words`)
})

t.test('its pictures are what the numbers say (npm run docs draws them)', async (t) => {
  for (const [path, picture] of Object.entries(readmeImages())) {
    t.equal(read(path), picture, path)
    t.match(picture, /<title id="t">[^<]{20,}<\/title>/)
    t.ok(readme.includes(`"./${path}"`), `the README shows ${path}`)
    const [, alt = ''] = new RegExp(`alt="([^"]+)" src="./${path}"`).exec(readme) ?? []
    for (const [figure] of alt.matchAll(/\d[\d,.]*\d/g))
      t.match(picture, `>${figure}`, `the alt text says ${figure}`)
  }
})

t.test('every link and every anchor of the documents is there, in the package too', async (t) => {
  for (const page of pages()) {
    for (const { text, path, anchor } of linksOf(readPage(page))) {
      const [, ours] = OURS.exec(path) ?? []
      if (ours !== undefined) t.ok(existsSync(new URL(`../../${ours}`, import.meta.url)), `${page}: ${text}`)
      if (/^[a-z]+:/.test(path)) continue
      const target = path === '' ? page : join(dirname(page), path)
      if (!t.ok(existsSync(new URL(`../../${target}`, import.meta.url)), `${page}: ${text}`)) continue
      if (isPacked(page)) t.ok(isPacked(target), `${page}: ${text} is not in the package: ${REPOSITORY}`)
      if (anchor !== undefined && target.endsWith('.md'))
        t.ok(anchorsOf(readPage(target)).has(anchor), `${page}: ${text}`)
    }
  }
})

t.test('every page is found from docs/README.md', async (t) => {
  const linked = new Set(
    linksOf(readPage('docs/README.md')).map(({ path }) => OURS.exec(path)?.[1] ?? join('docs', path)),
  )
  for (const page of pages().filter((path) => /^docs\/[^/]+\.md$/.test(path)))
    t.ok(linked.has(page) || page === 'docs/README.md', page)
})

t.test('no row of a table stands twice', async (t) => {
  const rows = pages()
    .filter((page) => !/^docs\/benchmarks[./]/.test(page))
    .flatMap((page) => rowsOf(readPage(page)).map((row) => ({ page, row })))
  t.ok(rows.length > 500)
  const seen = new Map<string, string>()
  for (const { page, row } of rows) {
    t.notOk(seen.has(row), `${page} and ${seen.get(row)}: ${row}`)
    seen.set(row, page)
  }
})

/** Without the heads, and the lines below them. */
function rowsOf(page: string): string[] {
  const lines = page.replaceAll(/^```.*?^```$/gms, '').split('\n')
  const isLine = (line = '') => /^\|[-:| ]+\|$/.test(line)
  return lines.filter((line, n) => line.startsWith('| ') && !isLine(line) && !isLine(lines[n + 1]))
}

function isPacked(path: string): boolean {
  const { files } = JSON.parse(read('package.json')) as { files: string[] }
  const within = (folder: string) => path === folder || path.startsWith(`${folder}/`)
  const names = [path, dirname(path), `${dirname(path)}/*${extname(path)}`]
  const isLeftOut = names.some((name) => files.includes(`!${name}`))
  return files.some(within) && !isLeftOut
}
