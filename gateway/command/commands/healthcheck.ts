import { adminOf, askAdmin } from '../admin-client.ts'
import { ADMIN_FLAGS, type Command, CommandError, UsageError } from '../definition.ts'

/** Less than Docker's own 30 s, and more than the gateway has for its checks. */
const TIMEOUT_MS = 5000

export const healthcheck: Command = {
  summary: 'ask a running gateway for /healthz or /readyz, for Docker',
  usage: ['healthcheck [--ready] [--config FILE | --admin URL]'],
  about: `Asks the gateway on this machine whether its process answers, or with --ready whether it
serves: exit status 0 or 1. The rest of the configuration need not be right, and no secret
is read. Without --config and --admin: http://127.0.0.1:9090.

  HEALTHCHECK CMD ["pkce-gateway", "healthcheck", "--admin", "http://127.0.0.1:9090"]

starts quickest, for it reads no file.`,
  flags: { ...ADMIN_FLAGS, ready: { help: '/readyz instead of /healthz' } },
  async run(call) {
    const admin = await adminOf(call, { needsToken: false }).catch((error: Error) => {
      // Docker knows 0 and 1 alone.
      throw error instanceof UsageError ? error : new CommandError(error.message)
    })
    const path = call.flags.ready ? '/readyz' : '/healthz'
    const { status, body } = await askAdmin(admin, { path, timeoutMs: TIMEOUT_MS })
    call.print(`${body}\n`)
    return status === 200 ? 0 : 1
  },
}
