/** Requests to the token endpoint, and what their refusals look like. */
import type { LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import type { PluginApp } from './plugin-app.ts'

export const INVALID_GRANT = {
  error: 'invalid_grant',
  error_description: 'The grant is invalid, expired, revoked or was issued to another client.',
}

export function refused(t: Test, response: LightMyRequestResponse, status: number, error: string): void {
  t.equal(response.statusCode, status, response.body)
  t.equal((response.json() as { error: string }).error, error)
  t.equal(response.headers['cache-control'], 'no-store')
  t.equal(response.headers.pragma, 'no-cache')
  t.equal(response.headers['x-content-type-options'], 'nosniff')
  t.match(response.headers['content-type'], /^application\/json/)
  t.notOk(response.headers['set-cookie'])
}

/** The code has not been touched: its owner can redeem it, and the provider has not been asked before that. */
export async function stillGood(t: Test, plugin: PluginApp, code: string): Promise<void> {
  const record = JSON.parse(plugin.store.written.at(-1)!) as { status: string }
  t.equal(record.status, 'authorized', 'nothing was written')
  t.equal((await plugin.redeem(code)).statusCode, 200, 'the code is still good')
}

/** The code is gone, and no further request reaches the provider. */
export async function burnt(t: Test, plugin: PluginApp, code: string, calls = 0): Promise<void> {
  const again = await plugin.redeem(code)
  t.equal(again.statusCode, 400)
  t.same(again.json(), INVALID_GRANT)
  t.equal(plugin.provider.count('/token'), calls)
}
