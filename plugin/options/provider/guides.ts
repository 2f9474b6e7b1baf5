import type { PresetName } from './presets/presets.ts'

/** What an operator has to know of a provider besides its options: for `init`, the documentation, and log lines. */
export interface Guide {
  /** The provider's own name for the place where a client is registered, page by page. */
  readonly where: string
  /** What our redirect URI is called there, to follow "as". */
  readonly redirectUris: string
  /** What the address of back-channel logouts is called there, to follow "as"; absent where there are none. */
  readonly logoutUri?: string
  /** What else to do there, a sentence each. */
  readonly steps: readonly string[]
  /** How long a session can go on. */
  readonly refresh: string
  /** What surprises, a sentence each. */
  readonly quirks: readonly string[]
  /** Values for the keys of `provider` that the preset needs, as examples. */
  readonly example?: Readonly<Record<string, unknown>>
}

/** Source: each provider's own documentation. */
export const GUIDES: Readonly<Record<PresetName, Guide>> = {
  google: {
    where: 'Google Cloud console, APIs & Services, Credentials, the OAuth client',
    redirectUris: 'an authorized redirect URI',
    steps: [
      'Create an OAuth client of the type Web application.',
      'Configure the consent screen. While it is in testing, only listed users can sign in, and refresh tokens end after 7 days.',
    ],
    refresh:
      'A refresh token at each login; it is not rotated. Google ends it when the user takes back the consent.',
    quirks: [
      'Google does not know `offline_access`: it answers `invalid_scope`. The preset asks with `access_type=offline` instead.',
      'A refresh token comes again only with a new consent, so the preset sends `prompt=consent`, and the user sees that page at each login.',
    ],
  },
  apple: {
    where: 'Apple Developer, Certificates, Identifiers & Profiles',
    redirectUris: 'a return URL of the Services ID',
    steps: [
      'Register an App ID with Sign in with Apple, then a Services ID for it: the Services ID is `clientId`.',
      'Create a key for Sign in with Apple and download its `.p8` file, which can be done once. Its id is `keyId`.',
      '`teamId` is the Team ID of the membership.',
    ],
    refresh: 'A refresh token at each login; it is not rotated. Apple asks to use it at most once a day.',
    quirks: [
      'Apple wants https and a domain: it takes no loopback address as a return URL.',
      'There is no client secret to keep. The gateway signs one with the `.p8` key, and makes a new one before it ends.',
      'Asking for name or email makes Apple answer by POST (`form_post`), so the binding cookie is `SameSite=None; Secure`.',
      'The name comes at the first login only. To see it again, the user stops using Apple ID for the app in the settings.',
    ],
    example: { teamId: 'ABCDE12345', keyId: 'ABC123DEFG' },
  },
  entra: {
    where: 'Microsoft Entra admin center, App registrations, the app',
    redirectUris: 'a redirect URI of the platform Web (Authentication)',
    steps: [
      'Create a client secret under Certificates & secrets. Its Value is `clientSecret`; its Secret ID is not.',
      'Choose the accounts that may sign in, and list the ids of their tenants in `tenants`.',
    ],
    refresh: 'A refresh token with `offline_access`; a new one at each refresh, and the old one stays good.',
    quirks: [
      'With the platform Mobile and desktop applications Entra ID refuses a client secret (AADSTS700025): use Web.',
      'Userinfo is Microsoft Graph. It refuses tokens of other APIs, which costs the claims that only it has, and no login.',
      'There is no revocation endpoint: a logout ends the session here, and the tokens run out there.',
      'Client secrets end after 24 months at the latest.',
    ],
    example: { tenants: ['72f988bf-86f1-41af-91ab-2d7cd011db47'] },
  },
  'microsoft-personal': {
    where: 'Microsoft Entra admin center, App registrations, the app',
    redirectUris: 'a redirect URI of the platform Web (Authentication)',
    steps: [
      'Choose personal Microsoft accounts as the accounts that may sign in.',
      'Create a client secret under Certificates & secrets. Its Value is `clientSecret`; its Secret ID is not.',
    ],
    refresh: 'A refresh token with `offline_access`; a new one at each refresh, and the old one stays good.',
    quirks: [
      'There is no revocation endpoint: a logout ends the session here, and the tokens run out there.',
    ],
  },
  auth0: {
    where: 'Auth0 Dashboard, Applications, the application',
    redirectUris: 'an allowed callback URL (Settings)',
    logoutUri: 'the OpenID Connect Back-Channel Logout URI (Settings; not in every plan)',
    steps: [
      'Create an application of the type Regular Web Application.',
      'Allow the grant Refresh Token under Advanced Settings, Grant Types.',
      'For access tokens that an API can check, create the API, allow offline access there, and set `authorizationParams: { audience: … }`.',
    ],
    refresh:
      'A refresh token with `offline_access`, if the API allows it. Rotation is a setting; so is its overlap.',
    quirks: [
      'The issuer ends in a slash.',
      'Without `audience` the access token is opaque, and good for userinfo only.',
    ],
    example: { domain: 'example.eu.auth0.com' },
  },
  okta: {
    where: 'Okta Admin Console, Applications, the app integration',
    redirectUris: 'a sign-in redirect URI',
    steps: [
      'Create an app integration: OIDC, Web Application, with the grant Refresh Token.',
      'Assign the users or groups that may sign in.',
      'Another authorization server than `default` is named by `authorizationServer`.',
    ],
    refresh: 'A refresh token with `offline_access`; rotation is a setting of the app integration.',
    quirks: [
      'The authorization server needs an access policy for the client, or every login is `access_denied`.',
    ],
    example: { domain: 'example.okta.com' },
  },
  keycloak: {
    where: 'Keycloak Admin Console, the realm, Clients, the client',
    redirectUris: 'a valid redirect URI (Settings)',
    logoutUri: 'the Backchannel logout URL (Settings), with Backchannel logout session required on',
    steps: [
      'Create a client of the type OpenID Connect with Client authentication on and Standard flow.',
      'Copy the secret from Credentials.',
    ],
    refresh:
      'A refresh token always. It lives as long as the SSO session: see SSO Session Idle and Max of the realm.',
    quirks: [
      'With `offline_access` the session would outlive a logout at Keycloak, so the preset does not ask for it.',
      'A server in your own network needs `dangerouslyAllowPrivateNetwork: true`.',
    ],
    example: { domain: 'login.example.com', realm: 'example' },
  },
  cognito: {
    where: 'Amazon Cognito console, the user pool, App clients, the app client',
    redirectUris: 'an allowed callback URL (Login pages)',
    steps: [
      'Create an app client with a secret, the grant Authorization code, and the scopes openid, email and profile.',
      'Give the user pool a domain: it is `domain`.',
    ],
    refresh: 'A refresh token always, for 30 days unless the app client says otherwise.',
    quirks: [
      'Cognito does not know `offline_access`: it answers `invalid_scope`.',
      'Its access tokens have `client_id` and no `aud`: an API must check the former.',
    ],
    example: {
      domain: 'example.auth.eu-central-1.amazoncognito.com',
      region: 'eu-central-1',
      userPoolId: 'eu-central-1_AbCdEfGhI',
    },
  },
  github: {
    where: 'GitHub, Settings, Developer settings, OAuth Apps, the app',
    redirectUris: 'the authorization callback URL',
    steps: ['Create an OAuth App and generate a client secret.'],
    refresh:
      'No refresh token: the access token has no end, and the session lasts as long as `lifetimes.sessionSeconds`.',
    quirks: [
      'GitHub has no OpenID: the user is `id` of its user API, a number that stays when the name changes.',
      'Revocation is an API of its own, which the gateway does not call: a logout ends the session here.',
      'Errors come with status 200.',
    ],
  },
  'github-app': {
    where: 'GitHub, Settings, Developer settings, GitHub Apps, the app',
    redirectUris: 'a callback URL',
    steps: [
      'Create a GitHub App, with Expire user authorization tokens on, and generate a client secret.',
      'What a token may do are the permissions of the app; there are no scopes.',
    ],
    refresh: 'Eight hours, then a refresh token of six months, which is rotated.',
    quirks: [
      'As for the OAuth App: the user is `id`, revocation is an API of its own, errors come with status 200.',
    ],
  },
  gitlab: {
    where: 'GitLab, Preferences (or the group, or the Admin area), Applications, the application',
    redirectUris: 'a redirect URI',
    steps: [
      'Create an application, confidential, with the scopes openid, profile and email.',
      'A server of your own is named by `domain`.',
    ],
    refresh: 'Two hours, then a refresh token, which is rotated.',
    quirks: ['A refresh token that is used twice ends the whole authorization at GitLab.'],
  },
  facebook: {
    where: 'Meta for Developers, the app, Facebook Login, Settings',
    redirectUris: 'a valid OAuth redirect URI',
    steps: [
      'Create an app with Facebook Login for the web.',
      '`clientId` is the App ID, `clientSecret` the App Secret (App settings, Basic).',
    ],
    refresh: 'No refresh token: a session ends with the access token, after 60 days at most.',
    quirks: [
      'Facebook has no OpenID in this flow: the user is `id` of the Graph API, which is another one in each app.',
      'A user may withhold the email address.',
    ],
  },
  linkedin: {
    where: 'LinkedIn Developers, My apps, the app, Auth',
    redirectUris: 'an authorized redirect URL for your app',
    steps: ['Request the product Sign In with LinkedIn using OpenID Connect.'],
    refresh: 'No refresh token but for partners: a session ends with the access token, after 60 days.',
    quirks: [
      'LinkedIn refuses a `code_verifier`, and its id_token has no nonce: nothing of LinkedIn binds its code to the login. The preset uses it as plain OAuth 2.0, and a warning at start says so.',
      "`state` and the browser's cookie still keep a stranger from finishing somebody's login, and the app's own PKCE is as ever. Whoever reads a code of LinkedIn's in somebody's browser before it is redeemed could bring it into a login of his own. If that is too much, do not use this preset.",
    ],
  },
  slack: {
    where: 'Slack API, Your Apps, the app, OAuth & Permissions',
    redirectUris: 'a redirect URL',
    steps: ['Create an app, and use Sign in with Slack. It needs https.'],
    refresh:
      'No refresh token: the access token has no end, and the session lasts as long as `lifetimes.sessionSeconds`.',
    quirks: [
      'Errors come with status 200.',
      'The token says who the user is, and gives access to nothing else in Slack.',
    ],
  },
  discord: {
    where: 'Discord Developer Portal, Applications, the app, OAuth2',
    redirectUris: 'a redirect',
    steps: ['Copy the client id and reset the client secret to see it.'],
    refresh: 'Seven days, then a refresh token, which is rotated.',
    quirks: [
      'Discord has no OpenID here: the user is `id` of its user API. An email address is there only if it is verified.',
    ],
  },
}
