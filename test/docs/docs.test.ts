import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { loadConfig } from '../../gateway/config/load.ts'
import { selfSigned } from '../support/certificate.ts'
import { findingsTable, writtenFindings } from '../support/doctor-page.ts'
import { errorsPage } from '../support/errors-page.ts'
import { documents, withExamples } from '../support/examples-in-docs.ts'
import { minimal } from '../support/gateway-config.ts'
import { optionTypes, typesOf } from '../support/option-types.ts'
import { optionsPage } from '../support/options-page.ts'

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

t.test("the README's configuration is valid as it stands", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'readme-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'gateway.yaml')
  writeFileSync(file, blocks('yaml')[0]!)
  writeFileSync(join(folder, 'provider-secret.txt'), 'secret\n', { mode: 0o600 })
  const { config } = loadConfig({ file })
  t.equal(config.upstreams.length, 2)
  t.same(config.warnings, [])

  writeFileSync(join(folder, 'redis-url.txt'), 'redis://127.0.0.1:6379', { mode: 0o600 })
  writeFileSync(join(folder, 'postgres-url.txt'), 'postgres://127.0.0.1/pkce', { mode: 0o600 })
  writeFileSync(join(folder, 'sealing-secrets.txt'), Buffer.alloc(32, 1).toString('base64url'), {
    mode: 0o600,
  })
  for (const store of blocks('yaml').slice(1)) {
    writeFileSync(file, blocks('yaml')[0]! + store)
    const { config } = loadConfig({ file })
    t.match(store, `type: ${config.store.type}`)
  }
})

t.test('the upstreams of the routing guide are valid as they stand (H-08, H-13, Q-07)', async (t) => {
  const { cert, key } = selfSigned('gateway.test')
  const folder = t.testdir({ 'orders-ca.pem': cert, 'gateway.pem': cert, 'gateway.key': key })
  chmodSync(join(folder, 'gateway.key'), 0o600)
  const examples = blocks('yaml', read('docs/routing.md'))
  t.equal(examples.length, 3)
  for (const example of examples) {
    const upstreams = example.startsWith('upstreams:') ? example : `upstreams:\n${example}`
    const file = join(folder, 'gateway.yaml')
    writeFileSync(file, stringify(minimal()) + upstreams)
    const { config } = loadConfig({ file })
    t.same(config.warnings, [])
    t.ok(config.upstreams.length > 0)
  }
})

t.test('the examples in the documents are those that run (npm run docs puts them in)', async (t) => {
  for (const path of documents) {
    t.equal(read(path), withExamples(path), path)
    const shown = [...read(path).matchAll(/<!-- (examples\/[^ ]+) -->/g)]
    t.ok(shown.length > 0)
  }
})

t.test("the README's test of a route is one that runs", async (t) => {
  const code = blocks('ts')[1]!.replace(/^import .*\n\n/, '')
  t.match(code, /^const alice = await testSession\(app, /)
  const indented = code.trimEnd().replaceAll(/^/gm, '  ')
  const test = read('test/plugin/api/testing.test.ts').replaceAll(/^ {2}t\..*\n/gm, '')
  t.ok(test.includes(indented), 'but for its assertions')
})

t.test('the README names exactly one command to run and one to test', async (t) => {
  const commands = blocks('sh').join('').trim().split('\n')
  t.equal(commands.filter((line) => line === 'npm ci && npm start').length, 1)
  t.equal(commands.filter((line) => line === 'npm cit').length, 1)
})

t.test('nothing in the documents points to a file that is not there', async (t) => {
  const guides = readdirSync(new URL('../../docs', import.meta.url)).filter((name) => name.endsWith('.md'))
  const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']
  for (const document of [...pages, ...guides.map((name) => `docs/${name}`)]) {
    for (const [link, path, anchor] of read(document).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)) {
      const target = path === '' ? document : join(dirname(document), path!)
      if (!t.ok(existsSync(new URL(`../../${target}`, import.meta.url)), `${document}: ${link}`)) continue
      if (anchor !== undefined && target.endsWith('.md'))
        t.ok(anchorsOf(read(target)).has(anchor), `${document}: ${link}`)
    }
  }
})

/** As GitHub makes them of headings, and those that are written out. */
function anchorsOf(page: string): Set<string> {
  const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, text]) =>
    text!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
  const written = [...page.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id!)
  return new Set([...headings, ...written])
}
