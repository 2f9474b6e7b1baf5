/** Requests that revoke a token, and what a refusal beside the token endpoint looks like. */
import type { LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import type { PluginApp } from './plugin-app.ts'

export const revoke = (plugin: PluginApp, token: string, form: Record<string, string> = {}) =>
  plugin.post('revoke', { client_id: 'app', token, ...form })

export function refused(t: Test, response: LightMyRequestResponse, status: number, error: string): void {
  t.equal(response.statusCode, status, response.body)
  t.equal((response.json() as { error: string }).error, error)
  t.equal(response.headers['cache-control'], 'no-store')
}
