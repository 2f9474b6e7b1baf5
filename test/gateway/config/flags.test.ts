import t from 'tap'
import { flagSettings } from '../../../gateway/config/flags.ts'

t.test('flags set keys, by the type of each (design)', async (t) => {
  const given: Record<string, string> = { port: '1', 'log-level': '1', other: 'x' }
  t.same(
    flagSettings((flag) => given[flag]),
    [
      { path: ['listen', 'port'], value: 1, source: '--port' },
      { path: ['log', 'level'], value: '1', source: '--log-level' },
    ],
  )
  t.same(
    flagSettings(() => undefined),
    [],
  )
})
