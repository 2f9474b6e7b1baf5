import t from 'tap'
import { readFlags } from '../../../gateway/config/flags.ts'
import { ConfigError } from '../../../plugin/index.ts'

t.test(
  'the command line: unknown flags, missing values and arguments are wrong usage (design)',
  async (t) => {
    for (const args of [
      ['--confg', 'x'],
      ['--config'],
      ['gateway.yaml'],
      ['--config-test=yes'],
      ['-c', 'x'],
    ]) {
      t.throws(() => readFlags(args), ConfigError, args.join(' '))
    }
    t.same(readFlags(['--config', 'a.yaml', '--port=1']), {
      config: 'a.yaml',
      migrate: false,
      sql: false,
      configTest: false,
      printConfig: false,
      version: false,
      help: false,
      settings: [{ path: ['listen', 'port'], value: 1, source: '--port' }],
    })
  },
)
