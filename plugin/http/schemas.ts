import Type, { type TProperties } from 'typebox'

/**
 * The wire shapes, for an OpenAPI document. They validate nothing: what of a request is read, what of that is wrong,
 * and in which order that is told, is the protocol's business (`oauth/`).
 */
const optional = (description: string) => Type.Optional(Type.String({ description }))
/** Unknown parameters are ignored (RFC 6749 §3.1, §3.2). */
const form = (properties: TProperties) => Type.Object(properties, { additionalProperties: true })
const tags = ['oauth2']

const OAuthErrorBody = Type.Object(
  { error: Type.String(), error_description: Type.Optional(Type.String()) },
  { description: 'RFC 6749 §5.2' },
)
const failures = { '4xx': OAuthErrorBody, '5xx': OAuthErrorBody }

/** Every client authenticates the same way (RFC 6749 §2.3.1). */
const clientParameters = {
  client_id: optional('Public clients, and client_secret_post.'),
  client_secret: optional('client_secret_post.'),
}

const authorizationRequest = {
  client_id: optional('Registered client.'),
  redirect_uri: optional('Exactly as registered; a loopback address with any port.'),
  response_type: optional('code'),
  code_challenge: optional('43 base64url characters.'),
  code_challenge_method: optional('S256'),
  dpop_jkt: optional('Thumbprint of the key that the code is to be bound to (RFC 9449 §10).'),
  scope: optional('Default: all that the client may have.'),
  state: optional('Printable ASCII characters; comes back as it is.'),
  resource: optional(
    'Address of an API that the tokens are for; several times for several (RFC 8707). Default: all.',
  ),
  identity_provider: optional('Name of the provider to sign in at, where there are several.'),
  ui_locales: optional('Languages for our pages, the preferred one first: de-CH fr.'),
}

export const authorizeSchema = {
  tags,
  operationId: 'authorize',
  summary: 'Authorization endpoint (RFC 6749 §3.1, RFC 7636 §4.3)',
  querystring: form({
    ...authorizationRequest,
    request_uri: optional('Of a pushed request: with client_id alone.'),
  }),
}

export const parSchema = {
  tags,
  operationId: 'par',
  summary: 'Pushed authorization request (RFC 9126)',
  consumes: ['application/x-www-form-urlencoded'],
  body: form({ ...authorizationRequest, ...clientParameters }),
  response: {
    201: Type.Object({
      request_uri: Type.String({ description: 'For the authorization endpoint, with client_id; once.' }),
      expires_in: Type.Integer({ description: 'Seconds.' }),
    }),
    ...failures,
  },
}

const callback = {
  tags,
  summary: "The provider's authorization response (RFC 6749 §4.1.2, RFC 9207)",
}
const authorizationResponse = {
  state: optional('Ours.'),
  code: optional("The provider's."),
  error: optional("The provider's refusal, instead of a code."),
  iss: optional("The provider's issuer (RFC 9207); required if its metadata says so."),
}

/** By `provider.responseMode`. @param name of the provider, where there are several. */
export function callbackSchema(responseMode: 'query' | 'form_post', name: string | undefined) {
  const named = { ...callback, operationId: name === undefined ? 'callback' : `callback_${name}` }
  if (responseMode === 'query') return { ...named, querystring: form(authorizationResponse) }
  return {
    ...named,
    consumes: ['application/x-www-form-urlencoded'],
    body: form({ ...authorizationResponse, user: optional("Apple's, at a user's first login.") }),
  }
}

export const tokenSchema = {
  tags,
  operationId: 'token',
  summary: 'Token endpoint (RFC 6749 §4.1.3, §6; RFC 7636 §4.5)',
  consumes: ['application/x-www-form-urlencoded'],
  body: form({
    grant_type: optional('authorization_code or refresh_token. Required.'),
    code: optional('With authorization_code.'),
    redirect_uri: optional('With authorization_code: as in the authorization request, or left out.'),
    code_verifier: optional('With authorization_code: 43 to 128 unreserved characters.'),
    refresh_token: optional('With refresh_token.'),
    scope: optional('With refresh_token: at most what was granted.'),
    resource: optional(
      'Address of an API that the access token is for: at most what was granted (RFC 8707).',
    ),
    ...clientParameters,
  }),
  response: {
    200: Type.Object({
      access_token: Type.String(),
      token_type: Type.String(),
      expires_in: Type.Integer({ description: 'Seconds.' }),
      refresh_token: Type.Optional(Type.String()),
      scope: Type.String(),
    }),
    ...failures,
  },
}

export const revokeSchema = {
  tags,
  operationId: 'revoke',
  summary: 'Token revocation (RFC 7009)',
  consumes: ['application/x-www-form-urlencoded'],
  body: form({
    token: optional('Access or refresh token. Required.'),
    token_type_hint: optional('Ignored.'),
    ...clientParameters,
  }),
  response: { 200: Type.Object({}), ...failures },
}

/** @param name of the provider, where there are several. */
export function backchannelLogoutSchema(name: string | undefined) {
  return {
    tags,
    operationId: name === undefined ? 'backchannelLogout' : `backchannelLogout_${name}`,
    summary: "The provider's logout token (OpenID Connect Back-Channel Logout §2.5)",
    consumes: ['application/x-www-form-urlencoded'],
    body: form({ logout_token: optional('A JWT of the provider. Required.') }),
    response: { 200: Type.Object({}), ...failures },
  }
}

export const introspectSchema = {
  tags,
  operationId: 'introspect',
  summary: 'Token introspection, for registered resource servers (RFC 7662)',
  consumes: ['application/x-www-form-urlencoded'],
  body: form({
    token: optional('Access token. Required.'),
    token_type_hint: optional('Ignored.'),
    ...clientParameters,
  }),
  response: {
    200: Type.Object({
      active: Type.Boolean(),
      iss: Type.Optional(Type.String()),
      client_id: Type.Optional(Type.String()),
      sub: Type.Optional(Type.String()),
      scope: Type.Optional(Type.String()),
      aud: Type.Optional(
        Type.Array(Type.String(), { description: 'What it is for, where that was restricted (RFC 8707).' }),
      ),
      token_type: Type.Optional(Type.String()),
      cnf: Type.Optional(
        Type.Object({ jkt: Type.String() }, { description: 'The key that it is bound to (RFC 9449 §6.2).' }),
      ),
      exp: Type.Optional(Type.Integer({ description: 'Seconds since the epoch.' })),
      acr: Type.Optional(Type.String({ description: 'How the person has signed in (RFC 9470 §6.2).' })),
      auth_time: Type.Optional(Type.Integer({ description: 'When: seconds since the epoch.' })),
    }),
    ...failures,
  },
}

export const userinfoSchema = {
  tags,
  operationId: 'userinfo',
  summary: "Subject and the client's claims (OIDC Core §5.3)",
  response: { 200: Type.Object({ sub: Type.String() }, { additionalProperties: true }), ...failures },
}

const seconds = (description: string) =>
  Type.Integer({ description: `${description} Seconds since the epoch.` })

export const sessionsSchema = {
  tags,
  operationId: 'sessions',
  summary: "The live sessions of the token's user, the newest first",
  response: {
    200: Type.Object({
      sessions: Type.Array(
        Type.Object({
          id: Type.String({ description: 'Names the session, and opens nothing.' }),
          client_id: Type.String(),
          client_name: Type.Optional(Type.String()),
          client_registered: Type.Optional(
            Type.Boolean({ description: 'false: nobody has, and the name is its own word, or its host.' }),
          ),
          created_at: seconds('When its login began.'),
          last_refresh_at: Type.Optional(seconds('Absent before the first.')),
          current: Type.Boolean({ description: 'The one that asks.' }),
        }),
      ),
    }),
    ...failures,
  },
}

export const endSessionSchema = {
  tags,
  operationId: 'endSession',
  summary: "Ends one of the sessions of the token's user",
  params: Type.Object({ id: Type.String() }),
  response: { 200: Type.Object({}), ...failures },
}

export const jwksSchema = {
  tags,
  operationId: 'jwks',
  summary: 'Public keys that are signed with in our name (RFC 7517 §5)',
  response: { 200: Type.Object({ keys: Type.Array(Type.Object({}, { additionalProperties: true })) }) },
}

export const assetLinksSchema = {
  tags,
  operationId: 'assetLinks',
  summary: 'Android App Links (Digital Asset Links)',
  response: { 200: Type.Array(Type.Object({}, { additionalProperties: true })) },
}

export const siteAssociationSchema = {
  tags,
  operationId: 'appleAppSiteAssociation',
  summary: 'Apple universal links',
  response: { 200: Type.Object({}, { additionalProperties: true }) },
}

export const metadataSchema = (operationId: string) => ({
  tags,
  operationId,
  summary: 'Authorization server metadata (RFC 8414)',
  response: { 200: Type.Object({ issuer: Type.String() }, { additionalProperties: true }) },
})
