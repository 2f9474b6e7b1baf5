/** Requests to the authorization endpoint, and where their refusals go. */
import type { LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { CHALLENGE, REDIRECT_URI, startPluginApp, type TestStore } from './plugin-app.ts'

const valid = {
  client_id: 'app',
  redirect_uri: REDIRECT_URI,
  response_type: 'code',
  code_challenge: CHALLENGE,
  code_challenge_method: 'S256',
  state: 'app-state',
}
export const validQuery = new URLSearchParams(valid).toString()

/** The grant that was written last. */
export function lastRecord(store: TestStore): Record<string, unknown> {
  return JSON.parse(store.written.at(-1)!) as Record<string, unknown>
}

/** A page of ours: nothing that a browser would follow or keep. */
export function refusedLocally(t: Test, response: LightMyRequestResponse, status = 400, message = '') {
  t.equal(response.statusCode, status, `${message} ${status}`)
  t.equal(response.headers.location, undefined, 'no redirect')
  t.equal(response.headers['set-cookie'], undefined, 'no cookie')
}

/** The parameters of a redirect to the app. */
export function toldToApp(
  t: Test,
  response: LightMyRequestResponse,
  redirectUri = REDIRECT_URI,
): URLSearchParams {
  t.equal(response.statusCode, 302)
  const location = String(response.headers.location)
  t.ok(location.startsWith(`${redirectUri}?`), `redirects to the app, not ${location}`)
  t.equal(response.headers['set-cookie'], undefined, 'no cookie')
  return new URL(location).searchParams
}

/** One app of many clients, for many requests. It lasts as long as `t`. */
export async function startManyClients(t: Test) {
  const plugin = await startPluginApp(t, {
    clients: [
      {
        clientId: 'app',
        name: 'Example',
        redirectUris: [
          REDIRECT_URI,
          'https://app.example.com/cb?tenant=a%20b&x=1',
          'https://app.example.com/cb%2Fencoded/%C3%A9',
          'http://127.0.0.1/callback',
          'http://[::1]:8080/callback?y=1',
          'com.example.app:/cb?x=1',
        ],
        scopes: ['orders.read', 'orders.write'],
        passThrough: ['login_hint', 'prompt', 'max_age'],
        interaction: 'none',
        allowedOrigins: ['https://spa.example.com'],
      },
      { clientId: 'disabled', redirectUris: [REDIRECT_URI], enabled: false },
      { clientId: 'x'.repeat(256), redirectUris: [REDIRECT_URI] },
    ],
    provider: { scope: 'openid api' },
    limits: { transactionsPerAddress: 10_000 },
  })
  const { app, store, provider } = plugin
  const get = (query: string, headers: Record<string, string> = {}) =>
    app.inject({ url: `/oauth2/authorize?${query}`, headers })
  const transactions = () => store.calls.create ?? 0
  return { plugin, app, store, provider, get, transactions }
}
