#!/usr/bin/env node

/** The process around the command: arguments, environment, streams, signals, exit status. */

// From the first moment on: whoever asks for a reload must not end the process.
let isReloadDue = false
let reload = () => {
  isReloadDue = true
}
process.on('SIGHUP', () => reload())

const { loadPackage, missingPackages } = await import('../plugin/api/internal.ts')
// At once, and not by the first line that needs one: whoever uses the plugin alone has neither.
const missing = missingPackages('yaml', 'close-with-grace')
if (missing !== undefined) {
  process.stderr.write(`pkce-gateway: ${missing}\n`)
  process.exit(1)
}
const [{ runCommand }, { standardLogSink }] = await Promise.all([
  import('./command/command.ts'),
  import('./operations/log/log-sink.ts'),
])
const closeWithGrace = loadPackage<typeof import('close-with-grace')>('close-with-grace')
const outcome = await runCommand(process.argv.slice(2), process.env, process)
if (typeof outcome === 'number') process.exit(outcome)

const { log, shutdown, stop } = outcome
const { delayMs, graceMs } = shutdown
closeWithGrace(
  {
    delay: delayMs + graceMs,
    skip: ['SIGHUP'],
    logger: { error: (error: unknown) => log.fatal({ err: error }, 'the shutdown failed') },
    onTimeout: () => log.fatal({ graceMs }, 'requests were still in flight after shutdown.graceMs, exiting'),
    onSecondSignal: (signal) => log.fatal({ signal }, 'second signal, exiting at once'),
    onSecondError: (error) => log.fatal({ err: error }, 'uncaught error while closing, exiting'),
  },
  async ({ err, signal }) => {
    // After an uncaught error nothing is known of the state: no request may be answered from it.
    if (err) return log.fatal({ err }, 'uncaught error, exiting')
    log.info({ signal }, 'closing')
    await stop()
    log.info('closed')
    await standardLogSink().drained()
  },
)
reload = () => void outcome.reload()
outcome.announce()
if (isReloadDue) reload()
