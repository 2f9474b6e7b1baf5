import type { Answer, Facts } from './facts.ts'

/** Errors come with status 200. */
const error = (word: string): Answer => ({
  status: 200,
  body: { error: word, error_description: 'words', error_uri: 'https://docs.github.com/apps' },
})

/** An OAuth app. Source: GitHub, "Authorizing OAuth apps", "Troubleshooting OAuth app access token request errors". */
export const github: Facts = {
  endpoints: {
    authorization: 'https://github.com/login/oauth/authorize',
    token: 'https://github.com/login/oauth/access_token',
    userinfo: 'https://api.github.com/user',
  },
  // Whatever it does not know it leaves out.
  scopes: ['read:user', 'user:email', 'repo'],
  clientAuthentication: ['basic', 'post'],
  token: { token_type: 'bearer' },
  scopeText: (scopes) => scopes.join(','),
  accessToken: 'gho_',
  isForm: ({ headers }) => !headers.accept?.includes('application/json'),
  answersFirst: ({ host, headers }) =>
    host === 'api.github.com' && !headers['user-agent']
      ? { status: 403, body: 'Request forbidden by administrative rules. Add a User-Agent header.' }
      : undefined,
  userinfo: ({ person }) => ({
    status: 200,
    body: { login: person, id: 583_231 + person.length, node_id: 'MDQ', name: person, email: null },
  }),
  refusedUserinfo: { status: 401, body: { message: 'Bad credentials', status: '401' } },
  cancel: {
    error: 'access_denied',
    error_description: 'The user has denied your application access.',
    error_uri: 'https://docs.github.com/apps/troubleshooting',
  },
  unregistered: 'redirect_uri_mismatch',
  refusals: {
    client: error('incorrect_client_credentials'),
    code: error('bad_verification_code'),
    redirect_uri: error('redirect_uri_mismatch'),
    verifier: error('bad_verification_code'),
    refresh_token: error('bad_refresh_token'),
    grant_type: error('unsupported_grant_type'),
  },
}

/** A GitHub App with tokens that end. Source: GitHub, "Refreshing user access tokens". */
export const githubApp: Facts = {
  ...github,
  refresh: 'rotated',
  accessToken: 'ghu_',
  token: { token_type: 'bearer', expires_in: 28_800, refresh_token_expires_in: 15_897_600 },
  scopeText: () => '',
  refuses: (query) => (query.has('scope') ? 'a GitHub App has no scopes' : undefined),
}
