import { randomBytes } from 'node:crypto'
import formbody from '@fastify/formbody'
import OAuth2Server from '@node-oauth/oauth2-server'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { readArgument } from '../../plan/argument.ts'
import { CLIENT_ID, REDIRECT_URI } from '../../servers/app.ts'
import { type LoginArgument, Provider, type ProviderTokens } from './provider.ts'

/**
 * @node-oauth/oauth2-server: it proves client, redirect URI and verifier, and rotates refresh tokens. Routes, records
 * in Maps and the provider are a team's own to write: they are as those of `minimal`.
 */
type Text = Readonly<Record<string, string>>
/** Who signs in: with the provider's code at first, with its tokens from the exchange on. */
interface User {
  readonly code?: string
  readonly tokens?: ProviderTokens
}

const argument = readArgument<LoginArgument>()
const provider = new Provider(argument)
/** The app's authorization request by the state at the provider. */
const logins = new Map<string, Text>()
const codes = new Map<string, OAuth2Server.AuthorizationCode>()
const accessTokens = new Map<string, OAuth2Server.Token>()
const refreshTokens = new Map<string, OAuth2Server.RefreshToken>()

const client: OAuth2Server.Client = {
  id: CLIENT_ID,
  redirectUris: [REDIRECT_URI],
  grants: ['authorization_code', 'refresh_token'],
}
const model: OAuth2Server.AuthorizationCodeModel & OAuth2Server.RefreshTokenModel = {
  getClient: async (id) => id === CLIENT_ID && client,
  saveAuthorizationCode: async (code, client, user) => {
    const saved = { ...code, client, user }
    codes.set(code.authorizationCode, saved)
    return saved
  },
  getAuthorizationCode: async (code) => codes.get(code),
  revokeAuthorizationCode: async ({ authorizationCode }) => codes.delete(authorizationCode),
  saveToken: async (token, client, { code, tokens }: User) => {
    const user: User = code === undefined ? { tokens: tokens! } : { tokens: await provider.redeem(code) }
    const saved = { ...token, client, user }
    accessTokens.set(token.accessToken, saved)
    refreshTokens.set(token.refreshToken!, saved as OAuth2Server.RefreshToken)
    return saved
  },
  getAccessToken: async (token) => accessTokens.get(token),
  getRefreshToken: async (token) => refreshTokens.get(token),
  revokeToken: async ({ refreshToken, accessToken }) => {
    accessTokens.delete(accessToken)
    return refreshTokens.delete(refreshToken)
  },
}
const oauth = new OAuth2Server({
  model,
  requireClientAuthentication: { authorization_code: false, refresh_token: false },
})

const app = Fastify({ logger: false })
await app.register(formbody)

app.get<{ Querystring: Text }>('/oauth2/authorize', (request, reply) => {
  const state = randomBytes(32).toString('base64url')
  logins.set(state, request.query)
  return reply.redirect(provider.authorizationUrl(state))
})

app.get<{ Querystring: Text }>('/oauth2/callback', async (request, reply) => {
  const { state = '', code = '' } = request.query
  const query = logins.get(state)
  if (query === undefined) return reply.code(400).send({ error: 'invalid_request' })
  logins.delete(state)
  const user: User = { code }
  return pass(reply, asked(request, query), (about, answer) =>
    oauth.authorize(about, answer, { authenticateHandler: { handle: () => user } }),
  )
})

app.post('/oauth2/token', (request, reply) =>
  pass(reply, asked(request, {}), (about, answer) => oauth.token(about, answer)),
)

await app.listen({ host: '127.0.0.1', port: argument.port, backlog: 4096 })

/** The request as the library has it. */
function asked({ method, headers, body }: FastifyRequest, query: Text): OAuth2Server.Request {
  return new OAuth2Server.Request({ method, headers: headers as Record<string, string>, query, body })
}

async function pass(
  reply: FastifyReply,
  about: OAuth2Server.Request,
  handle: (about: OAuth2Server.Request, answer: OAuth2Server.Response) => Promise<unknown>,
): Promise<FastifyReply> {
  const answer = new OAuth2Server.Response({})
  try {
    await handle(about, answer)
  } catch (error) {
    if (!(error instanceof OAuth2Server.OAuthError)) throw error
    return reply.code(error.code).send({ error: error.name })
  }
  return reply
    .code(answer.status ?? 200)
    .headers(answer.headers ?? {})
    .send(answer.body)
}
