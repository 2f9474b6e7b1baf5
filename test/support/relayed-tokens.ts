/** `tokens: relay` at a provider that gives one access token to every login, as some do while it lives. */
import type { LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { type PluginApp, startPluginApp, type Tokens } from './plugin-app.ts'
import { json } from './stub-provider.ts'

export const SHARED = 'shared-access'
const OF_SOMEBODY = /^code-of-(.*)/

type Options = Parameters<typeof startPluginApp>[1]

/** Whom the provider speaks of in its next answers, and how long its token lives. */
export interface SharingApp extends PluginApp {
  readonly answer: { sub: string | undefined; expires_in: number; access_token: string }
}

/** The route `/session` tells the session of its request. */
export async function startSharingApp(t: Test, options: Options = {}): Promise<SharingApp> {
  const plugin = await startPluginApp(
    t,
    { tokens: 'relay', ...options },
    {
      after: (app) =>
        app.get('/session', { onRequest: app.pkce.requireSession() }, ({ pkceSession }) => ({
          ...pkceSession,
          scope: pkceSession.scope.join(' '),
          left: Math.round((pkceSession.expiresAt - plugin.store.now()) / 1000),
        })),
    },
  )
  const answer: SharingApp['answer'] = { sub: 'alice', expires_in: 3600, access_token: SHARED }
  let logins = 0
  plugin.provider.behave.token = async ({ form }, response) => {
    const { sub: usual, ...tokens } = answer
    const sub = OF_SOMEBODY.exec(form.get('code') ?? '')?.[1] ?? usual
    logins++
    json(response, 200, {
      ...tokens,
      refresh_token: `refresh-${logins}`,
      token_type: 'Bearer',
      ...(sub !== undefined && { id_token: await plugin.provider.idToken({ sub }) }),
    })
  }
  return { ...plugin, answer }
}

/** Our code after a login of this person, whomever the provider speaks of otherwise. */
export async function codeFor(plugin: PluginApp, sub: string, client_id = 'app'): Promise<string> {
  const response = await plugin.callback(await plugin.authorize({ client_id }), { code: `code-of-${sub}` })
  return new URL(String(response.headers.location)).searchParams.get('code')!
}

export const tokensOf = (response: LightMyRequestResponse) => response.json() as Tokens

/** What `/session` tells. */
export interface ToldSession {
  grantId: string
  clientId: string
  subject: string
  scope: string
  left: number
}

export async function sessionOf({ app }: PluginApp, token = SHARED): Promise<ToldSession | number> {
  const response = await app.inject({ url: '/session', headers: { authorization: `Bearer ${token}` } })
  return response.statusCode === 200 ? (response.json() as ToldSession) : response.statusCode
}

/** Tokens that were revoked at the provider. */
export const revokedAtProvider = ({ provider }: PluginApp) =>
  provider.requests.filter(({ path }) => path === '/revoke').map(({ form }) => form.get('token'))
