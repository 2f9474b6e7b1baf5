import { randomBytes } from 'node:crypto'
import formbody from '@fastify/formbody'
import Fastify from 'fastify'
import { readArgument } from '../../plan/argument.ts'
import { type LoginArgument, Provider, type ProviderTokens } from './provider.ts'

/**
 * The least that can be called a login: Fastify, a form, one call to the provider, JSON and Maps. What the gateway
 * promises is not in it: no verifier, no client, no redirect URI is looked at, nothing is sealed, hashed, bound to a
 * browser, limited or written to a log, nothing expires, and a code that comes twice only is not found.
 */
interface Login {
  readonly redirectUri: string
  readonly state: string
}
interface Session {
  readonly provider: ProviderTokens
  /** The one that goes when the refresh token is used. */
  accessToken: string
}
type Text = Readonly<Record<string, string>>

const argument = readArgument<LoginArgument>()
const provider = new Provider(argument)
/** By the state at the provider; the provider's code by ours; sessions by each of their tokens. */
const logins = new Map<string, Login>()
const codes = new Map<string, string>()
const byAccessToken = new Map<string, Session>()
const byRefreshToken = new Map<string, Session>()

const app = Fastify({ logger: false })
await app.register(formbody)

app.get<{ Querystring: Text }>('/oauth2/authorize', (request, reply) => {
  const { redirect_uri = '', state = '' } = request.query
  const key = unguessable()
  logins.set(key, { redirectUri: redirect_uri, state })
  return reply.redirect(provider.authorizationUrl(key))
})

app.get<{ Querystring: Text }>('/oauth2/callback', (request, reply) => {
  const { state = '', code = '' } = request.query
  const login = taken(logins, state)
  if (login === undefined) return reply.code(400).send({ error: 'invalid_request' })
  const own = unguessable()
  codes.set(own, code)
  return reply.redirect(`${login.redirectUri}?code=${own}&state=${encodeURIComponent(login.state)}`)
})

app.post<{ Body: Text }>('/oauth2/token', async (request, reply) => {
  const { grant_type, code = '', refresh_token = '' } = request.body
  if (grant_type === 'refresh_token') {
    const session = taken(byRefreshToken, refresh_token)
    if (session === undefined) return reply.code(400).send({ error: 'invalid_grant' })
    byAccessToken.delete(session.accessToken)
    return answer(session)
  }
  const providerCode = taken(codes, code)
  if (providerCode === undefined) return reply.code(400).send({ error: 'invalid_grant' })
  return answer({ provider: await provider.redeem(providerCode), accessToken: '' })
})

await app.listen({ host: '127.0.0.1', port: argument.port, backlog: 4096 })

/** New tokens for a session that has none, or no longer. */
function answer(session: Session) {
  const refreshToken = unguessable()
  session.accessToken = unguessable()
  byAccessToken.set(session.accessToken, session)
  byRefreshToken.set(refreshToken, session)
  return {
    access_token: session.accessToken,
    token_type: 'Bearer',
    expires_in: 300,
    refresh_token: refreshToken,
    scope: 'orders.read',
  }
}

function taken<T>(map: Map<string, T>, key: string): T | undefined {
  const value = map.get(key)
  map.delete(key)
  return value
}

function unguessable(): string {
  return randomBytes(32).toString('base64url')
}
