import type { Answer, Facts } from './facts.ts'

const HOST = 'https://login.microsoftonline.com'
export const TENANT = 'aaaaaaaa-0000-4000-8000-000000000001'
export const PERSONAL = '9188040d-6c67-4c5b-b112-36a304b66dad'
const OPENID = ['openid', 'profile', 'email', 'offline_access']

/** Its descriptions have line breaks. */
function refusal(status: number, error: string, number: number, words: string): Answer {
  const error_description = `AADSTS${number}: ${words}\r\nTrace ID: 6c5e6d2b\r\nTimestamp: 2026-11-22 10:00:00Z`
  return { status, body: { error, error_description, error_codes: [number], trace_id: '6c5e6d2b' } }
}

/**
 * The platform "web". Source: Microsoft identity platform, "OAuth 2.0 authorization code flow", "OpenID Connect",
 * "Error codes".
 *
 * @param at the segment that stands for the tenant. @param tenant of whoever signs in. @param issuer of the metadata.
 */
function microsoft(at: string, tenant: string, issuer: string): Facts {
  const address = `${HOST}/${at}`
  return {
    endpoints: {
      authorization: `${address}/oauth2/v2.0/authorize`,
      token: `${address}/oauth2/v2.0/token`,
      userinfo: 'https://graph.microsoft.com/oidc/userinfo',
      jwks: `${address}/discovery/v2.0/keys`,
      metadata: `${address}/v2.0/.well-known/openid-configuration`,
    },
    issuer: `${HOST}/${tenant}/v2.0`,
    metadata: {
      issuer,
      scopes_supported: OPENID,
      response_modes_supported: ['query', 'fragment', 'form_post'],
      token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    },
    scopes: [...OPENID, 'api://orders/read'],
    unknownScope: 'invalid_scope',
    clientAuthentication: ['basic', 'post'],
    refresh: 'rotated, the old one stays good',
    givesRefreshToken: ({ scopes }) => scopes.includes('offline_access'),
    token: { expires_in: 3599, ext_expires_in: 3599 },
    // It answers none of these two.
    scopeText: (scopes) => scopes.filter((scope) => scope !== 'offline_access').join(' '),
    accessToken: `eyJ${'0'.repeat(1700)}`,
    codeLength: 1400,
    idToken: ({ person, scopes }) => ({
      ver: '2.0',
      ...(scopes.includes('profile') && { tid: tenant, oid: tenant, name: person }),
      ...(scopes.includes('email') && { email: `${person}@example.com` }),
    }),
    // Graph's: a token for another API is none for Graph.
    userinfo: ({ person, scopes }) =>
      scopes.every((scope) => OPENID.includes(scope))
        ? { status: 200, body: { sub: person, name: person, picture: 'https://graph.example/photo' } }
        : {
            status: 401,
            body: { error: { code: 'InvalidAuthenticationToken', message: 'Invalid audience.' } },
          },
    cancel: {
      error: 'access_denied',
      error_subcode: 'cancel',
      error_description: 'AADSTS65004: User declined to consent.\r\nTrace ID: 6c5e6d2b',
    },
    refusals: {
      client: refusal(401, 'invalid_client', 7000215, 'Invalid client secret provided.'),
      code: refusal(400, 'invalid_grant', 54005, 'OAuth2 Authorization code was already redeemed.'),
      redirect_uri: refusal(400, 'invalid_grant', 500112, 'The reply address does not match.'),
      verifier: refusal(400, 'invalid_grant', 501481, 'The Code_Verifier does not match the code_challenge.'),
      refresh_token: refusal(400, 'invalid_grant', 70008, 'The refresh token has expired.'),
    },
  }
}

export const entra = microsoft('organizations', TENANT, `${HOST}/{tenantid}/v2.0`)
export const microsoftPersonal = microsoft(PERSONAL, PERSONAL, `${HOST}/${PERSONAL}/v2.0`)
