import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { type Command, CommandError, textOf } from '../definition.ts'

/** The least that `secrets` takes. */
const SECRET_BYTES = 32

export const secret: Command = {
  summary: 'make a random secret for secrets, or for admin.tokenFile',
  usage: ['secret [--file FILE]'],
  about: `Prints a new secret of 256 random bits, or writes it to a file that only you can read. A
file that is there is never written over.

To rotate: put the new one before the old ones in secretsFile, and reload.`,
  flags: { file: { value: 'FILE', help: 'write it there (mode 0600), and print nothing' } },
  async run(call) {
    const line = `${randomBytes(SECRET_BYTES).toString('base64url')}\n`
    const file = textOf(call, 'file')
    if (file === undefined) return call.print(line)
    writeNewFile(file, line)
    return 0
  },
}

/** Nothing that is there is written over. @throws CommandError */
export function writeNewFile(file: string, content: string): void {
  try {
    writeFileSync(file, content, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'EEXIST' ? 'is there already: name another file' : `cannot be written: ${code}`
    throw new CommandError(`${file} ${why}`)
  }
}
