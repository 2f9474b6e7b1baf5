import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand } from '../../../gateway/command/command.ts'
import { GUIDES } from '../../../plugin/options/provider/guides.ts'
import { PRESET_NAMES } from '../../../plugin/options/provider/presets/presets.ts'
import { newP8 } from '../../support/providers/apple.ts'

/** Runs the command. */
async function run(...args: string[]) {
  const written = { stdout: '', stderr: '' }
  const to = (name: keyof typeof written) => ({
    write: (text: string) => {
      written[name] += text
    },
  })
  const status = await runCommand(args, {}, { stdout: to('stdout'), stderr: to('stderr') })
  return { status, ...written }
}

/** What an operator fills in. */
function fillIn(t: Test, file: string, preset: (typeof PRESET_NAMES)[number]): void {
  const values = { publicUrl: 'https://api.example.com', clientId: 'ours', ...GUIDES[preset].example }
  let text = readFileSync(file, 'utf8')
  for (const [key, value] of Object.entries(values)) {
    const empty = new RegExp(`^( *${key}:) (""|\\[\\])$`, 'm')
    t.match(text, empty, `${key} is a blank`)
    text = text.replace(empty, `$1 ${JSON.stringify(value)}`)
  }
  writeFileSync(file, text)
  writeFileSync(join(file, '..', 'provider-secret'), 'secret\n', { mode: 0o600 })
  writeFileSync(join(file, '..', 'apple-key.p8'), newP8(), { mode: 0o600 })
}

for (const preset of PRESET_NAMES) {
  t.test(`init ${preset}: the file is accepted once its blanks are filled in (M-01)`, async (t) => {
    const file = join(t.testdir({}), 'gateway.yaml')
    const begun = await run('init', preset, file)
    t.match(begun, { status: 0, stderr: '' })
    for (const part of [
      GUIDES[preset].where,
      GUIDES[preset].refresh,
      `Register <publicUrl>/oauth2/callback as ${GUIDES[preset].redirectUris}`,
    ])
      t.match(begun.stdout, part)
    t.equal(statSync(file).mode & 0o777, 0o600)

    const early = await run('--config', file, '--config-test')
    t.equal(early.status, 78)
    t.match(early.stderr, /publicUrl: must not be empty/)
    t.match(early.stderr, /provider\.clientId: must not be empty/)

    fillIn(t, file, preset)
    const filled = await run('--config', file, '--config-test')
    t.match(filled, { status: 0, stdout: 'ok\n' }, filled.stderr)
  })
}

t.test('init writes over nothing, and helps with a name (M-01)', async (t) => {
  const folder = t.testdir({ 'gateway.yaml': 'mine' })
  const file = join(folder, 'gateway.yaml')
  t.match(await run('init', 'google', file), { status: 1, stderr: /is there already: name another file/ })
  t.equal(readFileSync(file, 'utf8'), 'mine')
  t.match(await run('init', 'google', join(folder, 'no', 'x.yaml')), { status: 1, stderr: /ENOENT/ })
  t.match(await run('init', 'gogle', join(folder, 'x.yaml')), {
    status: 2,
    stderr: /there is no preset "gogle"; did you mean google\?/,
  })
  t.notOk(existsSync(join(folder, 'x.yaml')))
  t.match(await run('init'), { status: 2, stderr: /init takes a provider/ })
  t.match(await run('init', 'google', 'a', 'b'), { status: 2, stderr: /unknown command "b"/ })
  t.match(await run('innit'), { status: 2, stderr: /unknown command "innit"/ })
  t.match((await run('init', '--help')).stdout, 'pkce-gateway init PROVIDER [FILE]')
})
