/** A plugin app with one session, and the audit events that it told. */
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { type PluginApp, startPluginApp, type Tokens } from './plugin-app.ts'

export const REALM = 'Bearer realm="https://api.example.com"'
export const INVALID_TOKEN = `${REALM}, error="invalid_token", error_description="The access token is unknown, expired or revoked."`

type Options = Parameters<typeof startPluginApp>[1]

export async function loggedIn(
  t: Test,
  options?: Options,
  after?: (app: FastifyInstance) => void,
): Promise<PluginApp & { tokens: Tokens }> {
  const plugin = await startPluginApp(t, options, { ...(after && { after }) })
  return { ...plugin, tokens: await plugin.login() }
}

export const eventsOf = (plugin: PluginApp) => plugin.events.map(({ event }) => event)

export async function grantIdOf(plugin: PluginApp): Promise<string | undefined> {
  return (JSON.parse(plugin.store.written.at(-1)!) as { id?: string }).id
}
