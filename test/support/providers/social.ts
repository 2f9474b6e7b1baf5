import type { Answer, Facts } from './facts.ts'

/** An error is an object. */
const facebookError = (code: number, error_subcode?: number): Answer => ({
  status: 400,
  body: { error: { message: 'words', type: 'OAuthException', code, error_subcode, fbtrace_id: 'A1b2' } },
})

/** Source: Facebook Login, "Manually build a login flow"; Graph API, "Handling errors". */
export const facebook: Facts = {
  endpoints: {
    authorization: 'https://www.facebook.com/dialog/oauth',
    token: 'https://graph.facebook.com/oauth/access_token',
    userinfo: 'https://graph.facebook.com/me',
  },
  path: (path) => path.replace(/^\/v[0-9]+\.[0-9](?=\/)/, ''),
  scopes: ['public_profile', 'email'],
  unknownScope: 'page',
  clientAuthentication: ['post'],
  token: { token_type: 'bearer', expires_in: 5_183_944 },
  scopeText: () => undefined,
  accessToken: 'EAA',
  // What is not asked for by name is not told.
  userinfo: ({ person, scopes }, { query }) => {
    const known: Record<string, unknown> = {
      id: `1015${person.length}6789012345`,
      name: person,
      ...(scopes.includes('email') && { email: `${person}@example.com` }),
    }
    const fields = query.get('fields')?.split(',') ?? ['id', 'name']
    const told = ['id', ...fields].filter((field) => field in known)
    return { status: 200, body: Object.fromEntries(told.map((field) => [field, known[field]])) }
  },
  refusedUserinfo: facebookError(190),
  cancel: {
    error: 'access_denied',
    error_reason: 'user_denied',
    error_code: '200',
    error_description: 'Permissions error',
  },
  fragment: '#_=_',
  refusals: {
    client: facebookError(1),
    code: facebookError(100, 36_009),
    redirect_uri: facebookError(100, 36_008),
    verifier: facebookError(100),
    grant_type: facebookError(100),
  },
}

/** Source: LinkedIn, "Sign In with LinkedIn using OpenID Connect", "Authorization Code Flow". */
export const linkedin: Facts = {
  endpoints: {
    authorization: 'https://www.linkedin.com/oauth/v2/authorization',
    token: 'https://www.linkedin.com/oauth/v2/accessToken',
    userinfo: 'https://api.linkedin.com/v2/userinfo',
    jwks: 'https://www.linkedin.com/oauth/openid/jwks',
    metadata: 'https://www.linkedin.com/oauth/.well-known/openid-configuration',
  },
  issuer: 'https://www.linkedin.com/oauth',
  scopes: ['openid', 'profile', 'email'],
  unknownScope: 'unauthorized_scope_error',
  clientAuthentication: ['post'],
  verifier: 'refused',
  token: { expires_in: 5_183_999 },
  scopeText: (scopes) => scopes.join(','),
  // Whatever was sent.
  idToken: () => ({ nonce: undefined }),
  userinfo: ({ person, scopes }) =>
    scopes.includes('openid')
      ? {
          status: 200,
          body: { sub: person, name: person, email: `${person}@example.com`, email_verified: true },
        }
      : { status: 403, body: { message: 'Not enough permissions to access: userinfo.GET.NO_VERSION' } },
  cancel: { error: 'user_cancelled_login', error_description: 'The user cancelled LinkedIn login' },
  refusals: {
    client: {
      status: 401,
      body: { error: 'invalid_client', error_description: 'Client authentication failed' },
    },
    code: {
      status: 400,
      body: { error: 'invalid_request', error_description: 'authorization code expired' },
    },
    redirect_uri: { status: 400, body: { error: 'invalid_redirect_uri', error_description: 'words' } },
    verifier: {
      status: 400,
      body: { error: 'invalid_request', error_description: 'code verifier does not match' },
    },
  },
}

/** Errors come with status 200. */
const slackError = (error: string): Answer => ({ status: 200, body: { ok: false, error } })

/** Source: Slack, "Sign in with Slack", `openid.connect.token`. */
export const slack: Facts = {
  endpoints: {
    authorization: 'https://slack.com/openid/connect/authorize',
    token: 'https://slack.com/api/openid.connect.token',
    userinfo: 'https://slack.com/api/openid.connect.userInfo',
    jwks: 'https://slack.com/openid/connect/keys',
    metadata: 'https://slack.com/.well-known/openid-configuration',
  },
  issuer: 'https://slack.com',
  metadata: {
    scopes_supported: ['openid', 'profile', 'email'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
  },
  scopes: ['openid', 'profile', 'email'],
  unknownScope: 'invalid_scope',
  clientAuthentication: ['basic', 'post'],
  token: { ok: true },
  scopeText: () => undefined,
  accessToken: 'xoxp-',
  idToken: ({ person }) => ({ name: person, 'https://slack.com/user_id': person }),
  userinfo: ({ person }) => ({ status: 200, body: { ok: true, sub: person, name: person } }),
  refusedUserinfo: slackError('invalid_auth'),
  cancel: { error: 'access_denied' },
  refusals: {
    client: slackError('bad_client_secret'),
    code: slackError('invalid_code'),
    redirect_uri: slackError('bad_redirect_uri'),
    verifier: slackError('invalid_code_verifier'),
    grant_type: slackError('invalid_grant_type'),
  },
}

/** Source: Discord, "OAuth2", "Users Resource". */
export const discord: Facts = {
  endpoints: {
    authorization: 'https://discord.com/oauth2/authorize',
    token: 'https://discord.com/api/oauth2/token',
    userinfo: 'https://discord.com/api/users/@me',
    revocation: 'https://discord.com/api/oauth2/token/revoke',
  },
  scopes: ['identify', 'email', 'guilds'],
  unknownScope: 'invalid_scope',
  clientAuthentication: ['basic', 'post'],
  refresh: 'rotated',
  token: { expires_in: 604_800 },
  // Beyond what a number of JSON holds exactly.
  userinfo: ({ person, scopes }) =>
    scopes.includes('identify')
      ? { status: 200, body: { id: `8035111022467891${person.length}2`, username: person } }
      : { status: 403, body: { message: '403: Forbidden', code: 0 } },
  refusedUserinfo: { status: 401, body: { message: '401: Unauthorized', code: 0 } },
  cancel: {
    error: 'access_denied',
    error_description: 'The resource owner or authorization server denied the request',
  },
  refusals: {
    code: { status: 400, body: { error: 'invalid_grant', error_description: 'Invalid "code" in request.' } },
    redirect_uri: {
      status: 400,
      body: { error: 'invalid_request', error_description: 'Invalid "redirect_uri" in request.' },
    },
  },
}
