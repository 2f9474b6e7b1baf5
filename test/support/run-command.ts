import { runCommand } from '../../gateway/command/command.ts'

/** Runs a command that ends by itself, in this process. */
export async function runCaptured(args: readonly string[], environment: Record<string, string> = {}) {
  const output = { stdout: '', stderr: '' }
  const status = await runCommand(args, environment, {
    stdout: { write: (text) => (output.stdout += text) },
    stderr: { write: (text) => (output.stderr += text) },
  })
  if (typeof status !== 'number') {
    await status.stop()
    throw new Error('a gateway has started')
  }
  return { status, ...output }
}
