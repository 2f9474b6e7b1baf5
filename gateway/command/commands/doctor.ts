import { loaderOf } from '../configuration.ts'
import { CONFIG_FLAG, type Command } from '../definition.ts'

export const doctor: Command = {
  summary: 'look at everything that the gateway needs, and say what to do',
  usage: ['doctor --config FILE [--json]'],
  about: `Looks at the secrets, Node, the ports, the certificate, the store, the providers and the
upstreams with what the gateway itself uses for them, and changes nothing. Run it where
the gateway runs, as the same user, with the same environment.

Exit status: 0, with warnings too; 1 if there is an error; 78 for an invalid configuration.
With --json: {"status": "ok" | "warning" | "error", "findings": [{"part", "code", "status",
"found", "advice"}]}. docs/operate.md has every code.`,
  flags: { ...CONFIG_FLAG, json: { help: 'print JSON' } },
  async run(call) {
    const load = await loaderOf(call)
    const loaded = load()
    const { examine } = await import('../doctor.ts')
    const { flags, environment, streams } = call
    return examine(loaded, environment, { stdout: streams.stdout, json: flags.json === true })
  },
}
