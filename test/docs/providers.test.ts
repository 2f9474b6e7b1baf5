import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import blankTypes from 'ts-blank-space'
import { parse } from 'yaml'
import { loadConfig } from '../../gateway/config/load.ts'
import { type PkceOptions, resolveOptions } from '../../plugin/index.ts'
import { GUIDES } from '../../plugin/options/provider/guides.ts'
import { PRESET_NAMES, PRESETS } from '../../plugin/options/provider/presets/presets.ts'
import { file, minimal } from '../support/gateway-config.ts'
import { least } from '../support/plugin-options.ts'
import { providerPages } from '../support/provider-pages.ts'

const FOLDER = new URL('../../docs/providers/', import.meta.url)
const pages = providerPages()
const p8 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
})
process.env.PROVIDER_SECRET = 'secret'
process.env.APPLE_KEY = String(p8)

t.test('docs/providers is what the presets and their guides say (npm run docs)', async (t) => {
  t.same(new Set(readdirSync(FOLDER)), new Set(Object.keys(pages)))
  for (const [name, page] of Object.entries(pages))
    t.equal(readFileSync(new URL(name, FOLDER), 'utf8'), page, name)
})

for (const preset of PRESET_NAMES) {
  const page = pages[`${preset}.md`]!
  const [yaml = '', expansion = ''] = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text)
  const [, typescript = ''] = /```ts\n([\s\S]*?)```/.exec(page) ?? []

  t.test(`${preset}: its page's samples are valid, and say what the preset says (M-01)`, async (t) => {
    const { provider: _, ...rest } = minimal()
    const path = file(t, { ...rest, ...parse(yaml) })
    for (const name of ['provider-secret', 'apple-key.p8']) {
      writeFileSync(join(path, '..', name), name.startsWith('apple') ? p8 : 'secret', { mode: 0o600 })
    }
    const { config, warnings } = loadConfig({ file: path })
    t.match(config.plugin.provider, { preset })
    t.same(
      warnings.filter((warning) => !/pkce is none/.test(warning)),
      [],
      'nothing to warn of',
    )
    t.same(parse(expansion), PRESETS[preset].options)

    const script = `${blankTypes(typescript)}\nprocess.stdout.write(JSON.stringify(provider))`
    const provider = JSON.parse(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }))
    const { providers } = resolveOptions({ ...least(), provider } as PkceOptions)
    t.equal(providers[0]?.options.issuer, config.plugin.provider?.issuer)
    for (const text of [GUIDES[preset].where, GUIDES[preset].refresh, '<publicUrl>/oauth2/callback'])
      t.match(page, text)
  })
}

t.test('the sample with several providers is valid, too (M-04)', async (t) => {
  const [, yaml = ''] = /## Several providers\n\n```yaml\n([\s\S]*?)```/.exec(pages['README.md']!) ?? []
  const { provider: _, clients: __, ...rest } = minimal()
  const path = file(t, { ...rest, ...parse(yaml) })
  writeFileSync(join(path, '..', 'google-secret'), 'secret', { mode: 0o600 })
  writeFileSync(join(path, '..', 'apple-key.p8'), p8, { mode: 0o600 })
  const { config } = loadConfig({ file: path })
  t.same(Object.keys(config.plugin.providers ?? {}), ['google', 'apple'])
})
