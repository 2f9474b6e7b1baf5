import OAuth2Server from '@node-oauth/oauth2-server'
import type { Test } from 'tap'
import { CREDENTIALS, formPage, type NodeProvider, OURS, serve } from './serving.ts'

/**
 * @node-oauth/oauth2-server: the grants of OAuth 2.0 without a server, without discovery and without OpenID. Routes,
 * the login page and a userinfo endpoint are ours, as they are everybody's who uses it.
 */
export async function startNodeOAuth(t: Test, redirectUri: string): Promise<NodeProvider> {
  const { origin, calls, answerFetch } = await serve(t)
  const tokens = new Map<string, OAuth2Server.Token>()
  const oauth = new OAuth2Server({ model: memoryModel(redirectUri, tokens) })

  const routes: Record<string, (request: Request) => Promise<Response>> = {
    'GET /authorize': async ({ url }) => formPage('/authorize', parametersOf(new URL(url)), CREDENTIALS),
    'POST /authorize': (request) =>
      answer(request, (asked, response) =>
        oauth.authorize(asked, response, {
          authenticateHandler: { handle: ({ body }: OAuth2Server.Request) => ({ id: body.username }) },
        }),
      ),
    'POST /token': (request) => answer(request, (asked, response) => oauth.token(asked, response)),
    'GET /userinfo': (request) =>
      answer(request, async (asked, response) => {
        const { user } = await oauth.authenticate(asked, response)
        response.body = { id: user.id }
      }),
  }
  answerFetch(async (request) => {
    const route = routes[`${request.method} ${new URL(request.url).pathname}`]
    return route ? route(request) : new Response('not found', { status: 404 })
  })
  return { issuer: origin, calls, ...OURS, forget: () => tokens.clear() }
}

/** Its own request and response around those of `fetch`. */
async function answer(
  request: Request,
  handle: (asked: OAuth2Server.Request, response: OAuth2Server.Response) => Promise<unknown>,
): Promise<Response> {
  const text = await request.text()
  const asked = new OAuth2Server.Request({
    method: request.method,
    headers: Object.fromEntries(request.headers),
    query: parametersOf(new URL(request.url)),
    body: Object.fromEntries(new URLSearchParams(text)),
  })
  const response = new OAuth2Server.Response({})
  try {
    await handle(asked, response)
  } catch (error) {
    if (!(error instanceof OAuth2Server.OAuthError)) throw error
    response.status ??= error.code
    response.body ??= { error: error.name }
  }
  const init = { status: response.status ?? 200, headers: response.headers ?? {} }
  return Response.json(response.body ?? {}, init)
}

function memoryModel(
  redirectUri: string,
  tokens: Map<string, OAuth2Server.Token>,
): OAuth2Server.AuthorizationCodeModel & OAuth2Server.RefreshTokenModel {
  const codes = new Map<string, OAuth2Server.AuthorizationCode>()
  const client = {
    id: OURS.clientId,
    redirectUris: [redirectUri],
    grants: ['authorization_code', 'refresh_token'],
  }
  return {
    // Without a secret at the authorization endpoint, and then it says null.
    getClient: async (id, secret: string | null) =>
      id === OURS.clientId && (secret === null || secret === OURS.clientSecret) && client,
    saveAuthorizationCode: async (code, client, user) => {
      const saved = { ...code, client, user }
      codes.set(code.authorizationCode, saved)
      return saved
    },
    getAuthorizationCode: async (code) => codes.get(code),
    revokeAuthorizationCode: async ({ authorizationCode }) => codes.delete(authorizationCode),
    saveToken: async (token, client, user) => {
      const saved = { ...token, client, user }
      tokens.set(token.accessToken, saved)
      if (token.refreshToken !== undefined) tokens.set(token.refreshToken, saved)
      return saved
    },
    getAccessToken: async (token) => tokens.get(token),
    getRefreshToken: async (token) => tokens.get(token) as OAuth2Server.RefreshToken | undefined,
    revokeToken: async ({ refreshToken }) => tokens.delete(refreshToken),
  }
}

function parametersOf({ searchParams }: URL): Record<string, string> {
  return Object.fromEntries(searchParams)
}
