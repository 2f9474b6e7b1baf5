import { hash } from 'node:crypto'
import { Pool } from 'undici'
import type { Secure } from '../load/plan.ts'
import { tlsOptions } from '../load/secure.ts'

/** The app that the benchmarks play: an https redirect, so no page stands between provider and app. */
export const CLIENT_ID = 'com.example.benchmark'
export const REDIRECT_URI = 'https://app.example.com/callback'

const CODE_VERIFIER = 'a-code-verifier-of-forty-three-characters-or-more'
const CODE_LIFE_MS = 60_000
const CONCURRENT = 16

/** Where a login begins: path and query. */
export const authorizationPath = `/oauth2/authorize?${new URLSearchParams({
  response_type: 'code',
  client_id: CLIENT_ID,
  redirect_uri: REDIRECT_URI,
  scope: 'orders.read',
  state: 'state-of-the-app',
  code_challenge: hash('sha256', CODE_VERIFIER, 'base64url'),
  code_challenge_method: 'S256',
})}`

/** What a login ends with. */
export interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
}

/** A whole login at the server: authorize, callback, token. @throws Error when an answer is not as expected. */
export async function signIn(port: number, secure?: Secure): Promise<Tokens> {
  const [tokens] = await signInMany(port, 1, secure)
  return tokens!
}

/** @see signIn */
export function signInMany(port: number, count: number, secure?: Secure): Promise<Tokens[]> {
  return withServer(serverAt(port, secure), Array(count).fill(null), async (server) => {
    return await requestTokens(server, codeForm(await obtainCode(server)))
  })
}

/**
 * So many codes, each to be redeemed once. They live for a minute, so there are fewer where half of it is over before:
 * the rest of it is for redeeming them.
 */
export async function obtainCodes(port: number, count: number): Promise<string[]> {
  const deadline = Date.now() + CODE_LIFE_MS / 2
  const codes = await withServer(serverAt(port), Array(count).fill(null), async (server) =>
    Date.now() < deadline ? [await obtainCode(server)] : [],
  )
  return codes.flat()
}

/** Refreshes each of them. @returns what came instead, in no order. */
export function refreshMany(port: number, tokens: readonly Tokens[]): Promise<Tokens[]> {
  return withServer(serverAt(port), tokens, (server, { refreshToken }) =>
    requestTokens(server, refreshForm(refreshToken)),
  )
}

/** The body of a token request for a code. */
export function codeForm(code: string): string {
  return String(
    new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: CLIENT_ID,
      redirect_uri: REDIRECT_URI,
      code,
      code_verifier: CODE_VERIFIER,
    }),
  )
}

/** The body of a refresh request. */
export function refreshForm(refreshToken: string): string {
  return String(
    new URLSearchParams({ grant_type: 'refresh_token', client_id: CLIENT_ID, refresh_token: refreshToken }),
  )
}

/** A browser and its app may well speak HTTP/1.1 with a server that offers HTTP/2. */
function serverAt(port: number, secure?: Secure): Pool {
  if (secure === undefined) return new Pool(`http://127.0.0.1:${port}`, { connections: CONCURRENT })
  const connect = tlsOptions({ ...secure, protocol: 'http/1.1' })
  return new Pool(`https://127.0.0.1:${port}`, { connections: CONCURRENT, connect })
}

async function withServer<T, R>(
  server: Pool,
  items: readonly T[],
  act: (server: Pool, item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const left = items.values()
  const work = async () => {
    for (const item of left) results.push(await act(server, item))
  }
  try {
    await Promise.all(Array.from({ length: CONCURRENT }, work))
    return results
  } finally {
    await server.destroy()
  }
}

/** To the provider and back: what a browser does, and the provider's page is skipped. */
async function obtainCode(server: Pool): Promise<string> {
  const begun = await redirect(server, authorizationPath, {})
  const state = begun.location.searchParams.get('state') ?? ''
  const query = new URLSearchParams({ state, code: 'provider-code', iss: begun.location.origin })
  const finished = await redirect(server, `/oauth2/callback?${query}`, { cookie: begun.cookie })
  const code = finished.location.searchParams.get('code')
  if (code === null) throw new Error(`the login gave no code: ${finished.location.search}`)
  return code
}

async function redirect(server: Pool, path: string, headers: Record<string, string>) {
  const answer = await server.request({ method: 'GET', path, headers })
  const text = await answer.body.text()
  const { location, 'set-cookie': cookies } = answer.headers
  if (typeof location !== 'string') throw new Error(`no redirect but ${answer.statusCode}: ${text}`)
  return { location: new URL(location), cookie: String(cookies).split(';', 1)[0]! }
}

async function requestTokens(server: Pool, form: string): Promise<Tokens> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const answer = await server.request({
    method: 'POST',
    path: '/oauth2/token',
    headers,
    body: form,
  })
  const body = (await answer.body.json()) as { access_token?: string; refresh_token?: string }
  if (body.access_token === undefined || body.refresh_token === undefined) {
    throw new Error(`no tokens but ${answer.statusCode}: ${JSON.stringify(body)}`)
  }
  return { accessToken: body.access_token, refreshToken: body.refresh_token }
}
