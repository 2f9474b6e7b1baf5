/** What the command line may say, and what is told when it says something else. */
import t from 'tap'
import { readArguments } from '../../../gateway/command/arguments.ts'
import { COMMANDS, START } from '../../../gateway/command/commands.ts'
import type { Command } from '../../../gateway/command/definition.ts'
import { runCaptured } from '../../support/run-command.ts'

const all: [string, Command][] = [['', START], ...Object.entries<Command>(COMMANDS)]

t.test('what is misspelt is told with the nearest: status 2 (Q-09)', async (t) => {
  const cases: [string[], RegExp][] = [
    [['chek'], /^pkce-gateway: unknown command "chek"; did you mean "check"\?/],
    [['healtcheck'], /did you mean "healthcheck"\?/],
    [['xyzzy'], /^pkce-gateway: unknown command "xyzzy"\n/],
    [['--confg', 'x'], /^pkce-gateway: Unknown option '--confg'; did you mean "--config"\?/],
    [['check', '--jsn'], /did you mean "--json"\?/],
    [['--config'], /^pkce-gateway: Option '--config <value>' argument missing/],
    [['check', '--config', '--json'], /^pkce-gateway: --config has no value; .* --config=VALUE/],
    [['--config-test=yes'], /^pkce-gateway: Option '--config-test' does not take an argument/],
    [['--sql'], /^pkce-gateway: --sql goes with migrate\n/],
    [['check', '--config-test'], /^pkce-gateway: --config-test goes with the start/],
    [['secret', 'a'], /^pkce-gateway: unknown command "a"/],
    [['secret', '--port', '1'], /^pkce-gateway: --port goes with check or openapi/],
    [
      ['sessions', 'stop'],
      /sessions "stop" is not known: it is list or end\nTry pkce-gateway sessions --help\./,
    ],
    [['sessions', 'end'], /sessions end takes --subject or --grant, or one id/],
    [['sessions', 'end', 'x', '--subject', 'y'], /sessions end takes --subject or --grant, or one id/],
    [['sessions'], /sessions list takes --subject or --grant\n/],
    [['healthcheck', '--admin', 'nowhere'], /--admin must be a URL/],
    [['healthcheck', '--admin', 'http://a:b@127.0.0.1'], /--admin must be a URL/],
    [['check'], /there is no configuration: give --config FILE/],
  ]
  for (const [args, message] of cases) {
    const { status, stdout, stderr } = await runCaptured(args)
    t.equal(status, 2, args.join(' '))
    t.match(stderr, message)
    t.match(stderr, /\nTry pkce-gateway .*--help\.\n$/)
    t.equal(stdout, '')
  }
})

t.test('each command has a screen of help, and the list has them all (Q-09)', async (t) => {
  for (const [name, { flags, summary, usage }] of all) {
    const { status, stdout } = await runCaptured([...(name === '' ? [] : [name]), '--help'])
    t.equal(status, 0)
    const lines = stdout.split('\n')
    t.ok(lines.length <= 40, `${name}: ${lines.length} lines`)
    t.same(
      lines.filter((line) => line.length > 100),
      [],
    )
    for (const flag of Object.keys(flags)) t.match(stdout, new RegExp(`^  --${flag} `, 'm'))
    if (name !== '') for (const form of usage) t.match(stdout, `pkce-gateway ${form}`)
    t.equal((await runCaptured(['help', ...(name === '' ? [] : [name])])).stdout, stdout)
    if (name !== '') t.match((await runCaptured(['--help'])).stdout, summary)
  }
})

t.test('the id of a session may begin with a dash (S-01)', async (t) => {
  for (const id of [`-${'a'.repeat(21)}`, `--${'b'.repeat(20)}`]) {
    const { words, flags } = await readArguments(['sessions', 'end', id, '--admin', 'http://127.0.0.1:1'])
    t.same(words, ['end', id])
    t.match(flags, { admin: 'http://127.0.0.1:1' })
  }
})

t.test('a flag takes a value everywhere, or nowhere (Q-09)', async (t) => {
  const takesValue = new Map<string, boolean>()
  for (const [name, { flags }] of all) {
    for (const [flag, { value }] of Object.entries(flags)) {
      const known = takesValue.get(flag) ?? value !== undefined
      t.equal(value !== undefined, known, `${name} --${flag}`)
      takesValue.set(flag, known)
    }
  }
})
