import { oauthProvider } from '@better-auth/oauth-provider'
import { type BetterAuthPlugin, betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { jwt } from 'better-auth/plugins'
import type { Test } from 'tap'
import { CREDENTIALS, formPage, type NodeProvider, serve } from './serving.ts'

const TABLES = [
  ...['user', 'session', 'account', 'verification', 'jwks'],
  ...['oauthClient', 'oauthConsent', 'oauthAccessToken', 'oauthRefreshToken'],
  ...['oauthResource', 'oauthClientResource', 'oauthClientAssertion'],
]

/**
 * better-auth with its OAuth provider. The pages for login and consent are a team's to write: ours are a form each, and
 * a new name is signed up. It chooses ids of users and clients itself, its issuer has a path, and it signs with EdDSA.
 * On loopback it takes `http` from native clients alone.
 */
export async function startBetterAuth(t: Test, redirectUri: string): Promise<NodeProvider> {
  const { origin, calls, answerFetch } = await serve(t)
  const tables = Object.fromEntries(TABLES.map((name) => [name, [] as object[]]))
  // Their types are at odds where a property may be missing, but not undefined.
  const provider = oauthProvider({ loginPage: '/login', consentPage: '/consent' }) as unknown
  const auth = betterAuth({
    baseURL: origin,
    secret: 's'.repeat(32),
    database: memoryAdapter(tables),
    emailAndPassword: { enabled: true },
    telemetry: { enabled: false },
    logger: { level: 'error' },
    plugins: [jwt(), provider as BetterAuthPlugin],
  })
  const call = (path: string, body: object, headers: Readonly<Record<string, string>> = {}) =>
    auth.handler(
      new Request(`${origin}/api/auth${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin, ...headers },
        body: JSON.stringify(body),
      }),
    )

  async function answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname !== '/login' && pathname !== '/consent') return auth.handler(request)
    if (request.method === 'GET') {
      return formPage(pathname, { asked: searchParams.toString() }, pathname === '/login' ? CREDENTIALS : '')
    }
    const form = await request.formData()
    const cookie = request.headers.get('cookie') ?? ''
    const oauth_query = String(form.get('asked'))
    return pathname === '/consent'
      ? toRedirect(await call('/oauth2/consent', { accept: true, oauth_query }, { cookie }))
      : toRedirect(await signInByEmail(String(form.get('username')), oauth_query))
  }

  async function signInByEmail(name: string, oauth_query: string): Promise<Response> {
    const person = { name, email: `${name}@example.com`, password: 'password' }
    await call('/sign-up/email', person)
    return call('/sign-in/email', { ...person, oauth_query })
  }

  answerFetch(answer)
  return {
    issuer: `${origin}/api/auth`,
    ...{ calls, ...(await register()) },
    forget: () => void tables.oauthRefreshToken!.splice(0),
  }

  /** As an operator does. */
  async function register(): Promise<{ clientId: string; clientSecret: string }> {
    const person = { name: 'operator', email: 'operator@example.com', password: 'password' }
    const { headers } = await call('/sign-up/email', person)
    const cookie = headers
      .getSetCookie()
      .map((line) => line.split(';', 1)[0])
      .join('; ')
    const answer = await call(
      '/oauth2/create-client',
      { redirect_uris: [redirectUri], application_type: 'native' },
      { cookie },
    )
    const { client_id, client_secret } = await bodyOf(answer)
    return { clientId: client_id!, clientSecret: client_secret! }
  }
}

/** Its answers name the next address as JSON. */
async function toRedirect(answer: Response): Promise<Response> {
  const { url, redirect_uri } = await bodyOf(answer)
  const headers = new Headers({ location: (url ?? redirect_uri)! })
  for (const line of answer.headers.getSetCookie()) headers.append('set-cookie', line)
  return new Response(null, { status: 302, headers })
}

async function bodyOf(answer: Response): Promise<Readonly<Record<string, string>>> {
  if (!answer.ok) throw new Error(`better-auth: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as Record<string, string>
}
