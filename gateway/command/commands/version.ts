import { packageVersion } from '../../operations/admin/version.ts'
import type { Command } from '../definition.ts'

export const version: Command = {
  summary: 'print the version',
  usage: ['version'],
  about: 'Prints the version of fastify-pkce. That of a gateway that runs: GET /version.',
  flags: {},
  run: async (call) => call.print(`${packageVersion()}\n`),
}
