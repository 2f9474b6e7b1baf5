import type { Facts } from './facts.ts'

const OPENID = ['openid', 'profile', 'email', 'offline_access']
const WITHOUT_OFFLINE_ACCESS = ['openid', 'profile', 'email']
const claims: NonNullable<Facts['idToken']> = ({ person, scopes }) => ({
  ...(scopes.includes('profile') && { name: person }),
  ...(scopes.includes('email') && { email: `${person}@example.com` }),
})

/** A regular web application. Source: Auth0, "Authentication API". */
export const auth0: Facts = {
  endpoints: {
    authorization: 'https://example.eu.auth0.com/authorize',
    token: 'https://example.eu.auth0.com/oauth/token',
    userinfo: 'https://example.eu.auth0.com/userinfo',
    revocation: 'https://example.eu.auth0.com/oauth/revoke',
    jwks: 'https://example.eu.auth0.com/.well-known/jwks.json',
    metadata: 'https://example.eu.auth0.com/.well-known/openid-configuration',
  },
  issuer: 'https://example.eu.auth0.com/',
  metadata: { scopes_supported: OPENID, code_challenge_methods_supported: ['S256', 'plain'] },
  scopes: OPENID,
  clientAuthentication: ['basic', 'post'],
  refresh: 'kept',
  givesRefreshToken: ({ scopes }) => scopes.includes('offline_access'),
  token: { expires_in: 86_400 },
  idToken: claims,
  cancel: { error: 'access_denied', error_description: 'User did not authorize the request' },
  refusals: {
    client: { status: 401, body: { error: 'access_denied', error_description: 'Unauthorized' } },
    code: { status: 403, body: { error: 'invalid_grant', error_description: 'Invalid authorization code' } },
    redirect_uri: { status: 403, body: { error: 'invalid_grant', error_description: 'words' } },
    verifier: {
      status: 403,
      body: { error: 'invalid_grant', error_description: 'Failed to verify code verifier' },
    },
    refresh_token: {
      status: 403,
      body: { error: 'invalid_grant', error_description: 'Unknown or invalid refresh token.' },
    },
  },
}

const OKTA = 'https://example.okta.com/oauth2/default'
/** A web app at a custom authorization server. Source: Okta, "OpenID Connect & OAuth 2.0 API". */
export const okta: Facts = {
  endpoints: {
    authorization: `${OKTA}/v1/authorize`,
    token: `${OKTA}/v1/token`,
    userinfo: `${OKTA}/v1/userinfo`,
    revocation: `${OKTA}/v1/revoke`,
    jwks: `${OKTA}/v1/keys`,
    metadata: `${OKTA}/.well-known/openid-configuration`,
  },
  issuer: OKTA,
  metadata: { scopes_supported: OPENID, code_challenge_methods_supported: ['S256'] },
  scopes: OPENID,
  unknownScope: 'invalid_scope',
  clientAuthentication: ['basic', 'post'],
  refresh: 'sent again',
  givesRefreshToken: ({ scopes }) => scopes.includes('offline_access'),
  token: { expires_in: 3600 },
  idToken: claims,
  cancel: { error: 'access_denied', error_description: 'User is not assigned to the client application.' },
  refusals: {
    client: {
      status: 401,
      body: { error: 'invalid_client', error_description: 'The client secret is invalid.' },
    },
  },
}

const REALM = 'https://login.example.com/realms/shop'
/** A confidential client. Source: Keycloak, "Securing applications and services with OpenID Connect". */
export const keycloak: Facts = {
  endpoints: {
    authorization: `${REALM}/protocol/openid-connect/auth`,
    token: `${REALM}/protocol/openid-connect/token`,
    userinfo: `${REALM}/protocol/openid-connect/userinfo`,
    revocation: `${REALM}/protocol/openid-connect/revoke`,
    par: `${REALM}/protocol/openid-connect/ext/par/request`,
    jwks: `${REALM}/protocol/openid-connect/certs`,
    metadata: `${REALM}/.well-known/openid-configuration`,
  },
  issuer: REALM,
  metadata: {
    scopes_supported: OPENID,
    code_challenge_methods_supported: ['plain', 'S256'],
    authorization_response_iss_parameter_supported: true,
  },
  scopes: OPENID,
  unknownScope: 'invalid_scope',
  clientAuthentication: ['basic', 'post'],
  refresh: 'rotated, the old one stays good',
  token: { expires_in: 300, refresh_expires_in: 1800, 'not-before-policy': 0, session_state: 'a1b2' },
  idToken: claims,
  cancel: { error: 'access_denied' },
  callback: () => ({ session_state: 'a1b2' }),
  sendsIss: true,
  refusals: {
    client: {
      status: 401,
      body: {
        error: 'unauthorized_client',
        error_description: 'Invalid client or Invalid client credentials',
      },
    },
    code: { status: 400, body: { error: 'invalid_grant', error_description: 'Code not valid' } },
    refresh_token: {
      status: 400,
      body: { error: 'invalid_grant', error_description: 'Token is not active' },
    },
  },
}

const POOL = 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI'
const POOL_DOMAIN = 'https://example.auth.eu-central-1.amazoncognito.com'
/** A user pool. Source: Amazon Cognito, "User pool endpoints and managed login reference". */
export const cognito: Facts = {
  endpoints: {
    authorization: `${POOL_DOMAIN}/oauth2/authorize`,
    token: `${POOL_DOMAIN}/oauth2/token`,
    userinfo: `${POOL_DOMAIN}/oauth2/userInfo`,
    revocation: `${POOL_DOMAIN}/oauth2/revoke`,
    jwks: `${POOL}/.well-known/jwks.json`,
    metadata: `${POOL}/.well-known/openid-configuration`,
  },
  issuer: POOL,
  metadata: { scopes_supported: ['openid', 'email', 'phone', 'profile'] },
  scopes: ['openid', 'email', 'phone', 'profile'],
  unknownScope: 'invalid_scope',
  clientAuthentication: ['basic', 'post'],
  refresh: 'kept',
  token: { expires_in: 3600 },
  scopeText: () => undefined,
  idToken: (allowed) => ({ ...claims(allowed), token_use: 'id', 'cognito:username': allowed.person }),
  refusals: { client: { status: 400, body: { error: 'invalid_client' } } },
}

/** Source: GitLab, "OAuth 2.0 identity provider API", and RFC 6819 §5.2.2.3, by which it ends a family. */
export const gitlab: Facts = {
  endpoints: {
    authorization: 'https://gitlab.com/oauth/authorize',
    token: 'https://gitlab.com/oauth/token',
    userinfo: 'https://gitlab.com/oauth/userinfo',
    revocation: 'https://gitlab.com/oauth/revoke',
    jwks: 'https://gitlab.com/oauth/discovery/keys',
    metadata: 'https://gitlab.com/.well-known/openid-configuration',
  },
  issuer: 'https://gitlab.com',
  metadata: {
    scopes_supported: [...WITHOUT_OFFLINE_ACCESS, 'api', 'read_user'],
    code_challenge_methods_supported: ['plain', 'S256'],
  },
  scopes: [...WITHOUT_OFFLINE_ACCESS, 'api', 'read_user'],
  unknownScope: 'invalid_scope',
  clientAuthentication: ['basic', 'post'],
  refresh: 'ends its family',
  token: { expires_in: 7200, created_at: 1_795_000_000 },
  idToken: claims,
  cancel: { error: 'access_denied', error_description: 'The resource owner denied the request.' },
}
