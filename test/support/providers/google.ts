import type { Facts } from './facts.ts'

const LONG: Readonly<Record<string, string>> = {
  email: 'https://www.googleapis.com/auth/userinfo.email',
  profile: 'https://www.googleapis.com/auth/userinfo.profile',
}

/** A web client. Source: Google Identity, "OpenID Connect" and "Using OAuth 2.0 for Web Server Applications". */
export const google: Facts = {
  endpoints: {
    authorization: 'https://accounts.google.com/o/oauth2/v2/auth',
    token: 'https://oauth2.googleapis.com/token',
    userinfo: 'https://openidconnect.googleapis.com/v1/userinfo',
    revocation: 'https://oauth2.googleapis.com/revoke',
    jwks: 'https://www.googleapis.com/oauth2/v3/certs',
    metadata: 'https://accounts.google.com/.well-known/openid-configuration',
  },
  issuer: 'https://accounts.google.com',
  metadata: {
    scopes_supported: ['openid', 'email', 'profile'],
    code_challenge_methods_supported: ['plain', 'S256'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
  },
  scopes: ['openid', 'email', 'profile'],
  unknownScope: 'page',
  clientAuthentication: ['basic', 'post'],
  refresh: 'kept',
  // Only where it is asked for, and at the first consent or one that is asked for again.
  givesRefreshToken: ({ query, isFirst }) =>
    query.get('access_type') === 'offline' && (isFirst || query.get('prompt') === 'consent'),
  revokesWithoutClient: true,
  token: { expires_in: 3599 },
  scopeText: (scopes) => scopes.map((scope) => LONG[scope] ?? scope).join(' '),
  idToken: ({ person, scopes }) => ({
    azp: 'gateway',
    ...(scopes.includes('email') && {
      email: `${person}@example.com`,
      email_verified: true,
      hd: 'example.com',
    }),
    ...(scopes.includes('profile') && { name: person, picture: 'https://lh3.example/a' }),
  }),
  userinfo: ({ person }) => ({
    status: 200,
    body: { sub: person, name: person, email: `${person}@example.com` },
  }),
  cancel: { error: 'access_denied' },
  // And `iss`, which its metadata does not announce.
  callback: ({ scopes }) => ({
    scope: scopes.join(' '),
    authuser: '0',
    hd: 'example.com',
    prompt: 'consent',
  }),
  sendsIss: true,
  refusals: {
    client: { status: 401, body: { error: 'invalid_client', error_description: 'Unauthorized' } },
    code: { status: 400, body: { error: 'invalid_grant', error_description: 'Malformed auth code.' } },
    redirect_uri: { status: 400, body: { error: 'redirect_uri_mismatch', error_description: 'Bad Request' } },
    refresh_token: {
      status: 400,
      body: { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' },
    },
  },
}
