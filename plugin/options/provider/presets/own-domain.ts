import type { Preset } from './preset.ts'

/** Providers that everybody has an address of his own at: `{domain}` and its neighbours are options of that name. */

/** Source: Auth0, "Authorization Code Flow with PKCE". An API's `audience` goes into `authorizationParams`. */
export const auth0: Preset = {
  options: {
    name: 'Auth0',
    // Its issuer ends in a slash.
    issuer: 'https://{domain}/',
    scope: 'openid profile email offline_access',
    // So a new application is registered.
    clientAuthentication: 'client_secret_post',
  },
  needs: { domain: 'that of your tenant, e.g. example.eu.auth0.com, or your custom one' },
}

/** Source: Okta, "OpenID Connect & OAuth 2.0 API". */
export const okta: Preset = {
  options: {
    name: 'Okta',
    authorizationServer: 'default',
    issuer: 'https://{domain}/oauth2/{authorizationServer}',
    scope: 'openid profile email offline_access',
  },
  needs: { domain: 'that of your organization, e.g. example.okta.com' },
}

/** A confidential client. Source: Keycloak, "Securing applications and services with OpenID Connect". */
export const keycloak: Preset = {
  options: {
    name: 'Keycloak',
    issuer: 'https://{domain}/realms/{realm}',
    // A refresh token comes without offline_access. With it the session would outlast a logout at Keycloak.
    scope: 'openid profile email',
  },
  needs: {
    domain: 'the host of your server, e.g. login.example.com, with /auth behind it before version 17',
    realm: 'the name of the realm, as it stands in its addresses',
  },
}

/** A user pool. Source: Amazon Cognito, "User pool endpoints and managed login reference", and its metadata. */
export const cognito: Preset = {
  options: {
    name: 'Amazon Cognito',
    issuer: 'https://cognito-idp.{region}.amazonaws.com/{userPoolId}',
    // Metadata is at the issuer, and what it names is on the pool's domain.
    allowedHosts: ['{domain}:443'],
    // It knows no offline_access: a refresh token always comes.
    scope: 'openid email profile',
  },
  needs: {
    domain: "the user pool's, e.g. example.auth.eu-central-1.amazoncognito.com, or your custom one",
    region: 'that of the user pool, e.g. eu-central-1',
    userPoolId: 'the id of the user pool, e.g. eu-central-1_AbCdEfGhI',
  },
}

/** Source: GitLab, "OAuth 2.0 identity provider API" and "GitLab as OpenID Connect identity provider". */
export const gitlab: Preset = {
  options: {
    name: 'GitLab',
    domain: 'gitlab.com',
    issuer: 'https://{domain}',
    // It knows no offline_access: a refresh token always comes, and its reuse ends all of its family.
    scope: 'openid profile email',
  },
}
