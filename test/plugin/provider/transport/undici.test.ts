import { createRequire } from 'node:module'
import t from 'tap'
import * as whole from 'undici'
import {
  Agent,
  buildConnector,
  Client,
  Pool,
  undiciBy,
} from '../../../../plugin/provider/transport/undici.ts'

t.test('what is loaded of undici are the very classes that it exports', async (t) => {
  t.equal(Agent, whole.Agent)
  t.equal(Client, whole.Client)
  t.equal(Pool, whole.Pool)
  t.equal(buildConnector, whole.buildConnector)
})

t.test('they come from files of their own, without the rest', async (t) => {
  const asked: string[] = []
  const require = createRequire(import.meta.url)
  undiciBy((name) => {
    asked.push(name)
    return require(name)
  })
  t.equal(asked.length, 4)
  t.notOk(asked.includes('undici'), 'on undici 7 and 8')
})

t.test('an undici whose files are elsewhere, or hold something else, is loaded whole', async (t) => {
  const moved = undiciBy((name) => {
    if (name !== 'undici') throw Object.assign(new Error(name), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' })
    return whole
  })
  t.equal(moved.Client, whole.Client)
  const changed = undiciBy((name) => (name === 'undici' ? whole : class Other {}))
  t.equal(changed.Client, whole.Client)
  t.throws(
    () =>
      undiciBy((name) => {
        throw new Error(`no ${name}`)
      }),
    { message: 'no undici' },
  )
})
