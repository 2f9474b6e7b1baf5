/** The pages of a login, as an app with the plugin shows them to a browser: the provider sends everybody right back. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import type { Test } from 'tap'
import pkce, { type PkceOptions } from '../../plugin/index.ts'
import { freePort } from './gateway-stack.ts'
import { CHALLENGE } from './plugin-app.ts'

/** Markup, a right-to-left override, and a quotation mark that would end an attribute. */
export const HOSTILE_NAME = '<img src=x onerror=alert(1)> & "Co" \u202eevil'
/** What a person sees of it. */
export const HOSTILE_NAME_SHOWN = '<img src=x onerror=alert(1)> & "Co" evil'
const SCHEME_URI = 'com.example.app:/cb'

export const LOGO = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 40" width="160" height="40">
<rect width="40" height="40" rx="9" fill="#0f766e"/><path d="M11 27V13h9a5 5 0 0 1 0 10h-9" fill="none" stroke="#fff" stroke-width="3.5"/>
<text x="52" y="27" font-family="sans-serif" font-size="20" font-weight="700" fill="#134e4a">Example</text></svg>`

export const BRAND = {
  name: 'Example',
  logo: LOGO,
  accentColor: '#0f766e',
  supportUrl: 'https://example.com/help',
} satisfies PkceOptions['pages']

/** Where each of the pages is. */
export interface LoginPages {
  readonly publicUrl: string
  /** @param parameters besides those that the page needs. */
  readonly urls: Readonly<
    Record<
      'continue' | 'choice' | 'consent' | 'failure' | 'refusal',
      (parameters?: Record<string, string>) => string
    >
  >
}

/** An app on loopback. */
export async function startLoginPages(
  t: Pick<Test, 'teardown'>,
  pages: NonNullable<PkceOptions['pages']>,
): Promise<LoginPages> {
  const issuer = await startProvider(t)
  const endpoints = { authorizationEndpoint: `${issuer}/authorize`, tokenEndpoint: `${issuer}/token` }
  const ours = { clientId: 'gateway', clientSecret: 'gateway-secret', scope: 'api' }
  const port = await freePort()
  const publicUrl = `http://127.0.0.1:${port}`
  const app = fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  await app.register(pkce, {
    publicUrl,
    pages,
    providers: {
      one: { issuer, ...endpoints, ...ours, name: 'Example ID' },
      two: { issuer: `${issuer}/two`, ...endpoints, ...ours, name: 'Orders <b>Login</b>' },
    },
    clients: [
      { clientId: 'app', name: HOSTILE_NAME, redirectUris: [SCHEME_URI], providers: ['one'] },
      { clientId: 'choosing', name: HOSTILE_NAME, redirectUris: [SCHEME_URI] },
    ],
    scopes: [
      { name: 'orders.read', description: 'Read your orders' },
      { name: 'orders.write', description: 'Change your orders' },
    ],
    agents: { registration: {}, scopes: ['orders.read', 'orders.write'] },
    rateLimit: false,
  })
  await app.listen({ host: '127.0.0.1', port })
  const registered = await app.inject({
    method: 'POST',
    url: '/oauth2/register',
    payload: { client_name: HOSTILE_NAME, redirect_uris: ['http://127.0.0.1/callback'] },
  })
  const agent: string = registered.json().client_id

  const url =
    (fixed: Record<string, string>) =>
    (parameters: Record<string, string> = {}) =>
      `${publicUrl}/oauth2/authorize?${new URLSearchParams({
        ...{ client_id: 'app', redirect_uri: SCHEME_URI, response_type: 'code' },
        ...{ code_challenge: CHALLENGE, code_challenge_method: 'S256', state: '"><script>alert(1)</script>' },
        ...fixed,
        ...parameters,
      })}`
  return {
    publicUrl,
    urls: {
      continue: url({}),
      choice: url({ client_id: 'choosing' }),
      consent: url({
        client_id: agent,
        redirect_uri: 'http://127.0.0.1:5000/callback',
        identity_provider: 'one',
      }),
      failure: url({ redirect_uri: 'com.example.other:/cb' }),
      refusal: url({ client_id: 'choosing', identity_provider: 'two' }),
    },
  }
}

/** Its answer is a code, but for logins at `two`: whose users all say no. */
async function startProvider(t: Pick<Test, 'teardown'>): Promise<string> {
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url!, 'http://127.0.0.1')
    const back = new URL(searchParams.get('redirect_uri') ?? 'http://127.0.0.1')
    back.searchParams.set('state', searchParams.get('state') ?? '')
    if (back.pathname.endsWith('/two')) back.searchParams.set('error', 'access_denied')
    else back.searchParams.set('code', 'code-of-the-provider')
    response.writeHead(302, { location: back.href }).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
