import { type Command, UsageError } from '../definition.ts'
import { writeNewFile } from './secret.ts'

const FILE = 'gateway.yaml'

export const init: Command = {
  summary: 'write a configuration for a provider, and say what to register',
  usage: ['init PROVIDER [FILE]'],
  about: `Writes a commented configuration for a provider (google, apple, entra, …) into
${FILE}, or FILE, and says what to register there, and what is left to fill in.
A file that is there is never written over.`,
  flags: {},
  words: 2,
  async run(call) {
    const [preset, file = FILE] = call.words
    if (preset === undefined) throw new UsageError('init takes a provider, e.g. init google')
    const { beginningFor } = await import('../beginning.ts')
    const { file: content, steps } = begin()
    writeNewFile(file, content)
    return call.print(`${file} is written.\n\n${steps}`)

    function begin() {
      try {
        return beginningFor(preset!, file)
      } catch (error) {
        throw error instanceof RangeError ? new UsageError(error.message) : error
      }
    }
  },
}
