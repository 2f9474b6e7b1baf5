import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import nodeModule from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const MAIN = fileURLToPath(new URL('../../../gateway/main.ts', import.meta.url))
const isOffered = 'enableCompileCache' in nodeModule

function run(t: Test, environment: Record<string, string>) {
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import=ts-blank-space/register', MAIN, 'version'],
    { env: { PATH: process.env.PATH, ...environment }, encoding: 'utf8' },
  )
  t.equal(status, 0, stderr)
}
const isFilled = (folder: string) => existsSync(folder) && readdirSync(folder).length > 0

t.test("compiled code is kept in the user's own cache, where Node can keep it", async (t) => {
  const home = t.testdir({})
  run(t, { HOME: home })
  t.equal(isFilled(join(home, '.cache/pkce-gateway')), isOffered)
  const cache = join(home, 'elsewhere')
  run(t, { HOME: home, XDG_CACHE_HOME: cache })
  t.equal(isFilled(join(cache, 'pkce-gateway')), isOffered)
})

t.test('where it cannot be kept, or is told to be kept elsewhere, the command works as before', async (t) => {
  const home = t.testdir({ '.cache': 'a file' })
  run(t, { HOME: home })
  const told = join(t.testdir({}), 'told')
  run(t, { HOME: home, NODE_COMPILE_CACHE: told })
  t.equal(isFilled(told), isOffered)
  run(t, { HOME: home, NODE_DISABLE_COMPILE_CACHE: '1', XDG_CACHE_HOME: join(home, 'none') })
  t.notOk(isFilled(join(home, 'none')))
})
