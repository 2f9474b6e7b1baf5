/** Every block of code in the documents is run, compiled, loaded or parsed here or elsewhere, or says that it is not. */
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { transform } from 'esbuild'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'
import { loadConfig } from '../../gateway/config/load.ts'
import { selfSigned } from '../support/certificate.ts'
import { type Block, blocksOf, pages, readPage } from '../support/doc-pages.ts'
import { minimal } from '../support/gateway-config.ts'
import { optionExamples } from '../support/options-page.ts'

const blocks = pages().flatMap((page) => blocksOf(page))
const of = (...languages: string[]) => blocks.filter(({ language }) => languages.includes(language))
const name = ({ page, line }: Block) => `${page}:${line}`

/** Printed and not run: what a shell or a server says, a diagram, and files of programs that other tests start. */
const SHOWN = ['console', 'text', 'mermaid', 'sql', 'dockerfile', 'nginx', 'caddyfile', 'http']
/** No compiler of these is here. */
const FOREIGN = ['swift', 'kotlin', 'dart', 'jsx']

t.test('every block is of a kind that is known here', async (t) => {
  t.ok(blocks.length > 100, 'they are found')
  const known = ['ts', 'typescript', 'js', 'yaml', 'json', 'sh', ...SHOWN, ...FOREIGN]
  for (const block of blocks) t.ok(known.includes(block.language), `${name(block)}: ${block.language}`)
  for (const page of pages())
    t.equal(
      readPage(page).match(/^ *```/gm)?.length ?? 0,
      blocksOf(page).length * 2,
      `${page}: none is missed`,
    )
})

t.test(
  'TypeScript is an example that tsc compiles, or a sample of a provider page that is run',
  async (t) => {
    for (const block of of('ts')) {
      if (block.page.startsWith('docs/providers/')) continue // test/docs/providers.test.ts
      const [, file] = /^(examples\/.*\.ts)$/.exec(block.mark) ?? []
      t.equal(block.code, file && readFileSync(file, 'utf8'), name(block))
    }
    // The declarations of docs/api.md are made by its generator.
    t.same([...new Set(of('typescript').map(({ page }) => page))], ['docs/api.md'])
  },
)

t.test('JavaScript parses', async (t) => {
  for (const block of of('js', 'jsx'))
    await t.resolves(transform(block.code, { loader: 'jsx', logLevel: 'silent' }), name(block))
})

t.test('what no compiler here knows says so in front of it', async (t) => {
  for (const block of of(...FOREIGN)) t.match(block.mark, /^not compiled here: \S/, name(block))
})

t.test('JSON parses', async (t) => {
  for (const block of of('json')) t.doesNotThrow(() => JSON.parse(block.code), name(block))
})

t.test('shell commands parse, and name scripts and commands that are there', async (t) => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
  const commands = readFileSync('gateway/command/commands.ts', 'utf8')
  for (const block of of('sh')) {
    t.doesNotThrow(() => execFileSync('sh', ['-n'], { input: block.code }), name(block))
    for (const [, script] of block.code.matchAll(/npm run ([\w:-]+)/g)) t.ok(script! in scripts, script!)
    for (const [, command] of block.code.matchAll(/pkce-gateway ([a-z][\w-]*)/g))
      t.match(commands, new RegExp(String.raw`\b${command}\b`), `${name(block)}: ${command}`)
  }
})

t.test(
  'YAML is a configuration that the gateway takes without a warning, or says whose it is (H-08, H-13, Q-07)',
  async (t) => {
    const own = of('yaml').filter(({ mark }) => !/^for [A-Z]/.test(mark))
    t.ok(own.length > 20)
    for (const block of own) {
      if (block.page.startsWith('docs/providers/')) continue // test/docs/providers.test.ts
      const config = load(t, block.code)
      t.same(config.warnings, [], name(block))
    }
    t.ok(of('yaml').length - own.length <= 3, 'Traefik, Envoy, Prometheus')
  },
)

t.test('each section of docs/options.md has an example that sets it', async (t) => {
  for (const [section, example] of Object.entries(optionExamples)) {
    const keys = Object.keys(parse(example))
    t.ok(section === 'general' || keys.includes(section), section)
    load(t, example)
  }
})

t.test("the README's configuration is as it stands, and so are the stores of the guide", async (t) => {
  const [readme] = blocksOf('README.md').filter(({ language }) => language === 'yaml')
  t.ok(load(t, readme!.code, false).upstreams.length === 1)
  const stores = blocksOf('docs/stores.md').filter(({ language }) => language === 'yaml')
  t.same(
    stores.map(({ code }) => load(t, code).store.type),
    ['redis', 'postgres'],
  )
})

/** Loads a configuration as a file, beside every file that it names; with what a gateway needs at least, if it lacks it. */
function load(t: Test, code: string, isPart = !/^publicUrl:/m.test(code) || !/^clients:/m.test(code)) {
  const yaml = /^ *- prefix:/.test(code) ? `upstreams:\n${code}` : code
  const given = parse(yaml)
  const { provider, clients, ...others } = minimal()
  const rest = {
    ...{ ...others, publicUrl: 'https://api.example.com' },
    clients: [{ ...clients[0]!, claims: ['email'] }],
  }
  const base = 'providers' in given ? rest : { provider, ...rest }
  const folder = t.testdir({})
  for (const [key, path] of filesOf(given))
    writeFileSync(join(folder, path), contentOf(key, given), { mode: 0o600 })
  const file = join(folder, 'gateway.yaml')
  writeFileSync(file, isPart ? stringify({ ...base, ...given }) : yaml)
  return loadConfig({ file }).config
}

/** Every `…File` of a configuration, however deep. */
function filesOf(value: unknown): [key: string, path: string][] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    key.endsWith('File') && typeof inner === 'string' ? [[key, inner] as [string, string]] : filesOf(inner),
  )
}

const { cert, key: tlsKey } = selfSigned('gateway.test')
const p8 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
})

function contentOf(key: string, { store }: { store?: { type: string } }): string {
  if (key === 'secretsFile') return Buffer.alloc(32, 1).toString('base64url')
  if (key === 'privateKeyFile') return String(p8)
  if (/^(?:ca|cert|clientCert)File$/.test(key)) return cert
  if (/^(?:key|clientKey)File$/.test(key)) return tlsKey
  if (/^(?:url|listenUrl)File$/.test(key)) return `${store?.type}://127.0.0.1/1`
  if (key === 'logoFile') return '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'
  return 'secret-secret-secret\n'
}
