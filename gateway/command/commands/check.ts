import type { LoadedConfig } from '../../config/load.ts'
import { loaderOf } from '../configuration.ts'
import { type Call, type Command, INVALID_CONFIGURATION, SETTING_FLAGS } from '../definition.ts'

export const check: Command = {
  summary: 'check the configuration, or print what is in force',
  usage: ['check --config FILE [flags]'],
  about: `Reads the configuration and every file that it names, and prints ok, or every problem with
its place: file:line:column, variable or flag. Nothing is connected.

With --print: the configuration in force as YAML, secrets masked. Behind each value stands
where it comes from: file:line, a variable, a flag, a preset, or default.

With --json: {"ok": true, "warnings": […]}, and with --print "config" and "origins"; or
{"ok": false, "problems": [{"path", "problem", "source", "line", "column"}]}.`,
  flags: {
    ...SETTING_FLAGS,
    print: { help: 'print the configuration in force' },
    json: { help: 'print JSON' },
  },
  async run(call) {
    const load = await loaderOf(call)
    if (call.flags.json) return checkAsJson(load, call)
    const loaded = load()
    if (call.flags.print) {
      const { printConfig } = await import('../../config/print.ts')
      return call.print(printConfig(loaded.effective, loaded.originOf))
    }
    for (const warning of loaded.warnings) call.streams.stderr.write(`warning: ${warning}\n`)
    return call.print('ok\n')
  },
}

async function checkAsJson(load: () => LoadedConfig, { flags, print }: Call): Promise<number> {
  const [{ ConfigError, formatPath }, { originsOf, shownConfig }] = await Promise.all([
    import('../../../plugin/index.ts'),
    import('../../config/print.ts'),
  ])
  const write = (value: unknown) => print(`${JSON.stringify(value, null, 2)}\n`)
  try {
    const { warnings, effective, originOf } = load()
    const config = flags.print
      ? { config: shownConfig(effective), origins: originsOf(effective, originOf) }
      : {}
    return write({ ok: true, warnings, ...config })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const problems = error.problems.map(({ path, problem, place }) => ({
      path: formatPath(path),
      problem,
      ...place,
    }))
    write({ ok: false, problems })
    return INVALID_CONFIGURATION
  }
}
