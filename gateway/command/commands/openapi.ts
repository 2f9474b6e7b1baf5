import { loaderOf } from '../configuration.ts'
import { type Command, SETTING_FLAGS } from '../definition.ts'

export const openapi: Command = {
  summary: 'print the OpenAPI document of the OAuth endpoints',
  usage: ['openapi --config FILE'],
  about: `Prints the OpenAPI 3.1 document of the OAuth endpoints as this configuration has them: at
publicUrl, with a callback for each provider, and the scopes of the clients. Nothing is
connected. The APIs behind the gateway have documents of their own.`,
  flags: SETTING_FLAGS,
  async run(call) {
    const load = await loaderOf(call)
    const { openapiDocument } = await import('../openapi-document.ts')
    return call.print(`${JSON.stringify(await openapiDocument(load().config), null, 2)}\n`)
  },
}
