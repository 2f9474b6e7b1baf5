import Type from 'typebox'
import { closed, milliseconds, strings } from '../parts.ts'
import { PRESET_NAMES } from './presets/presets.ts'

const appleId = (description: string) =>
  Type.Optional(
    Type.String({
      pattern: '^[A-Z0-9]{10}$',
      description,
      problem: "must be Apple's: ten capital letters and digits",
    }),
  )

const pem = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, description: `PEM. ${description}` }))

const blank = (pattern: string, problem: string, description: string) =>
  Type.Optional(Type.String({ pattern, problem, description }))

/** The identity provider, and how we are registered there. */
export const ProviderSchema = Type.Object(
  {
    preset: Type.Optional(
      Type.Enum([...PRESET_NAMES], {
        description:
          'A provider whose options are known: they stand behind those that are written here. --print-config shows them.',
      }),
    ),
    name: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description:
          "Where there are several: what a person chooses by. Default: the preset's, or the name in `providers`.",
      }),
    ),
    domain: blank(
      '^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*$',
      'must be a host name in small letters, without https:// and without a slash at its end',
      'For presets auth0, okta, keycloak, cognito, gitlab: your host there.',
    ),
    realm: blank(
      '^[A-Za-z0-9._~%-]+$',
      'must be a name as it stands in addresses',
      'For preset keycloak: the realm.',
    ),
    region: blank(
      '^[a-z]+(?:-[a-z]+)+-[0-9]+$',
      'must be a region of AWS, e.g. eu-central-1',
      'For preset cognito: the region.',
    ),
    userPoolId: blank(
      '^[a-z0-9-]+_[A-Za-z0-9]+$',
      "must be a user pool's id, e.g. eu-central-1_AbCdEfGhI",
      'For preset cognito: the user pool.',
    ),
    authorizationServer: blank(
      '^[A-Za-z0-9._~-]+$',
      'must be an id as it stands in addresses',
      'For preset okta: the authorization server, there `default`.',
    ),
    issuer: Type.String({
      minLength: 1,
      description:
        'Issuer URL, compared as a string with metadata, responses and id_tokens (RFC 8414 §3.3). A preset has its own.',
    }),
    tenants: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        description:
          'With an issuer of several tenants (Entra ID: /common or /organizations): the ids of those whose users may sign in, or * alone for every tenant.',
      }),
    ),
    clientId: Type.String({ minLength: 1, description: 'Our client_id at the provider.' }),
    clientSecret: Type.Optional(
      Type.String({ minLength: 1, description: 'For client_secret_basic and client_secret_post.' }),
    ),
    privateKey: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "For private_key_jwt: a private JWK as JSON (its alg and kid are used), or a PKCS#8 PEM. For apple: the .p8 file's content.",
      }),
    ),
    teamId: appleId('For apple: the team that the key belongs to.'),
    keyId: appleId('For apple: the id of the key.'),
    clientAuthentication: Type.Optional(
      Type.Enum(
        ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'apple', 'tls_client_auth', 'none'],
        {
          default: 'client_secret_basic',
          description:
            'Exactly one method, no fallback. apple: a client_secret that is signed with the .p8 key; tls_client_auth: clientCert (RFC 8705).',
        },
      ),
    ),
    ca: pem('Certificates of the authorities that vouch for the provider, in place of the public ones.'),
    clientCert: pem('Certificate of our TLS connections to the provider, then the intermediate ones.'),
    clientKey: pem('Its private key.'),
    scope: Type.Optional(
      Type.String({
        default: 'openid offline_access',
        description: 'Sent to the provider, always and alone.',
      }),
    ),
    pkce: Type.Optional(
      Type.Enum(['own', 'relay', 'none'], {
        default: 'own',
        description:
          "own: our own pair; relay: the app's challenge and proved verifier; none: for providers without PKCE.",
      }),
    ),
    par: Type.Optional(
      Type.Enum(['auto', 'always', 'never'], {
        default: 'auto',
        description:
          'Pushed authorization requests (RFC 9126): auto: where metadata names an endpoint; always: not without.',
      }),
    ),
    responseMode: Type.Optional(
      Type.Enum(['query', 'form_post'], {
        default: 'query',
        description:
          "How the provider's answer comes back; form_post: by POST alone, which Apple wants for name and email. Its `user` then gives those claims where nothing signed has them.",
      }),
    ),
    nonce: Type.Optional(
      Type.Boolean({
        default: true,
        description:
          'False: for providers that leave it out of their id_tokens. Then PKCE alone binds the code.',
      }),
    ),
    idToken: Type.Optional(
      Type.Enum(['check', 'ignore'], {
        default: 'check',
        description:
          'ignore: an id_token is not read, although scope has openid, and userinfoEndpoint says who signs in. For LinkedIn, whose id_token nothing can bind to its login.',
      }),
    ),
    subjectClaim: Type.Optional(
      Type.String({
        minLength: 1,
        default: 'sub',
        description:
          "Without OpenID: the claim of userinfoEndpoint that says who signs in, text or a whole number, e.g. GitHub's id.",
      }),
    ),
    trustedAudiences: strings(
      'Audiences besides our clientId that an id_token may name, e.g. a project. Where azp is our clientId, all may be.',
    ),
    clockToleranceSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 600,
        default: 60,
        description: "By how much the provider's clock and ours may differ, where an id_token is dated.",
      }),
    ),
    defaultTokenSeconds: Type.Optional(
      Type.Union([Type.Integer({ minimum: 1, maximum: 31_536_000 }), Type.Literal('never')], {
        description:
          'Life of an access token without expires_in; never: as long as the session. Without this option: 300 s, and never where no refresh token came with it.',
      }),
    ),
    authorizationParams: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        default: {},
        description: 'Extra authorization request parameters; none that we set.',
      }),
    ),
    timeouts: Type.Optional(
      Type.Object(
        {
          connectMs: milliseconds(3000, 'TCP and TLS.'),
          headersMs: milliseconds(5000, 'Until the answer begins.'),
          bodyMs: milliseconds(5000, 'Between two pieces of the answer.'),
          totalMs: milliseconds(10_000, 'The whole call.'),
        },
        { ...closed, default: {} },
      ),
    ),
    allowedHosts: strings("host:port of provider endpoints outside the issuer's own host."),
    dangerouslyAllowPrivateNetwork: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Lets a provider on http or on a private address be used.',
      }),
    ),
    authorizationEndpoint: Type.Optional(
      Type.String({ minLength: 1, description: 'Explicit endpoints instead of discovery.' }),
    ),
    tokenEndpoint: Type.Optional(
      Type.String({ minLength: 1, description: 'Required with authorizationEndpoint.' }),
    ),
    revocationEndpoint: Type.Optional(
      Type.String({ minLength: 1, description: 'Without it, nothing is revoked at the provider.' }),
    ),
    userinfoEndpoint: Type.Optional(
      Type.String({ minLength: 1, description: 'Asked once per login for claims that the id_token lacks.' }),
    ),
    jwksUri: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Required with authorizationEndpoint when scope has openid.',
      }),
    ),
  },
  closed,
)
