/** Refreshes against a provider that is slow, or that rotates its refresh token. */
import type { LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import type { PluginApp, Tokens } from './plugin-app.ts'
import { type Behaviour, json } from './stub-provider.ts'
import { deferred } from './wait.ts'

/** From here on a refresh needs the provider: of its token's 3600 s fewer than 300 are left. */
export const NEAR_EXPIRY = 3400

export const tokensOf = (response: LightMyRequestResponse): Tokens => response.json() as Tokens

/** Calls to the provider's token endpoint since the login. */
export const refreshes = (plugin: PluginApp) => plugin.provider.count('/token') - 1

export function refused(t: Test, response: LightMyRequestResponse, status: number, error: string): void {
  t.equal(response.statusCode, status, response.body)
  t.equal((response.json() as { error: string }).error, error)
  t.equal(response.headers['cache-control'], 'no-store')
  t.equal(response.headers['retry-after'], status === 503 ? '5' : undefined)
  t.notMatch(response.body, /pk[ar]_/)
}

/** Holds the provider's answers back until they are let go. */
export function slowProvider(plugin: PluginApp): { letGo(): void } {
  const { promise, resolve } = deferred()
  const { token } = plugin.provider.behave
  plugin.provider.behave.token = async (request, response) => {
    await promise
    return token(request, response)
  }
  return {
    letGo() {
      plugin.provider.behave.token = token
      resolve()
    },
  }
}

export const say =
  (status: number, body: unknown): Behaviour =>
  (_request, response) =>
    json(response, status, body)
