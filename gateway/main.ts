#!/usr/bin/env node

/** The process around the command: arguments, environment, streams, signals, exit status. */

import nodeModule from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

// Where Node has it, the next start need not compile what has not changed. A folder that cannot be had costs nothing else.
const { enableCompileCache } = nodeModule as { enableCompileCache?(folder: string): unknown }
const cacheFolder = compileCacheFolder(process.env)
if (cacheFolder !== undefined) enableCompileCache?.(cacheFolder)

// From the first moment on: whoever asks for a reload must not end the process.
let isReloadDue = false
let reload = () => {
  isReloadDue = true
}
process.on('SIGHUP', () => reload())

// What a command needs it loads itself: a health check must not wait for the rest.
const { runCommand } = await import('./command/command.ts')
const outcome = await runCommand(process.argv.slice(2), process.env, process)
if (typeof outcome === 'number') process.exit(outcome)

const [{ loadPackage }, { standardLogSink }] = await Promise.all([
  import('../plugin/api/internal.ts'),
  import('./operations/log/log-sink.ts'),
])
const closeWithGrace = loadPackage<typeof import('close-with-grace')>('close-with-grace')
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

/**
 * Where Node may keep the compiled code of the command between two starts: in the user's own cache, because what is in
 * it is run. Node's default is a folder with a known name in /tmp, which another user may have made first.
 *
 * @returns undefined: there is none, or Node has been told of one (`NODE_COMPILE_CACHE`).
 */
function compileCacheFolder({
  NODE_COMPILE_CACHE,
  XDG_CACHE_HOME,
}: Readonly<Record<string, string | undefined>>): string | undefined {
  if (NODE_COMPILE_CACHE !== undefined) return undefined
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, 'pkce-gateway')
  try {
    return join(homedir(), '.cache', 'pkce-gateway')
  } catch {
    // A user without an entry and without HOME.
    return undefined
  }
}
