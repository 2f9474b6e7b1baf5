import { randomBytes } from 'node:crypto'
import type { ConfigProblem } from '../oauth/errors.ts'
import type { RegisteredClient, ResolvedOptions, ResolvedProvider, ResourceServer } from './resolved.ts'

const PUBLIC_URL =
  /^(https:\/\/[a-z0-9.-]+(:[1-9][0-9]{0,4})?|http:\/\/(127\.0\.0\.1|\[::1\])(:[1-9][0-9]{0,4})?)$/
const BASE64URL = /^[A-Za-z0-9_-]+={0,2}$/
const SECRET_BYTES = 32
/** Parameters that are ours to set; `authorizationParams` may name none of them. */
const OWN_PARAMETERS = [
  'client_id',
  'redirect_uri',
  'response_type',
  'response_mode',
  'scope',
  'state',
  'nonce',
  'code_challenge',
  'code_challenge_method',
  'request',
  'request_uri',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
]

/** Our issuer is what apps compare byte for byte (RFC 9207 §2.4), so there is one spelling of it. */
export function publicUrlProblem(publicUrl: string): string | undefined {
  if (PUBLIC_URL.test(publicUrl) && isOrigin(publicUrl)) return undefined
  return 'must be an https origin in lower case without path or trailing slash, or http with 127.0.0.1 or [::1]; no default port'
}

/** True for an origin as browsers and URL classes spell it: no default port, no path, a port that exists. */
export function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}

/** What is wrong with the provider's options before it is asked anything. */
export function providerProblems(provider: ResolvedProvider): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const report = (key: string, problem: string) => problems.push({ path: ['provider', key], problem })

  const issuer = URL.canParse(provider.issuer) ? new URL(provider.issuer) : null
  if (!issuer || !['https:', 'http:'].includes(issuer.protocol)) report('issuer', 'must be an https URL')
  else if (issuer.username || issuer.password) report('issuer', 'must not hold credentials')
  else if (/[?#]/.test(provider.issuer)) report('issuer', 'must have no query and no fragment (RFC 8414 §2)')

  const usesSecret = provider.clientAuthentication.startsWith('client_secret')
  if (usesSecret && provider.clientSecret === undefined) {
    report('clientSecret', `is required: clientAuthentication is ${provider.clientAuthentication}`)
  }
  if (provider.clientAuthentication === 'private_key_jwt' && provider.privateKey === undefined) {
    report('privateKey', 'is required: clientAuthentication is private_key_jwt')
  }
  for (const name of Object.keys(provider.authorizationParams)) {
    if (OWN_PARAMETERS.includes(name)) {
      problems.push({
        path: ['provider', 'authorizationParams', name],
        problem: 'is set by us and cannot be overridden',
      })
    }
  }
  const explicit = [
    provider.tokenEndpoint,
    provider.revocationEndpoint,
    provider.userinfoEndpoint,
    provider.jwksUri,
  ]
  if (provider.authorizationEndpoint !== undefined && provider.tokenEndpoint === undefined) {
    report(
      'tokenEndpoint',
      'is required: authorizationEndpoint is set, and explicit endpoints replace discovery',
    )
  }
  if (provider.authorizationEndpoint === undefined && explicit.some((endpoint) => endpoint !== undefined)) {
    report(
      'authorizationEndpoint',
      'is required: another endpoint is set, and explicit endpoints replace discovery',
    )
  }
  if (
    provider.authorizationEndpoint !== undefined &&
    provider.scope.split(' ').includes('openid') &&
    provider.jwksUri === undefined
  ) {
    report('jwksUri', 'is required: scope has openid, and the id_token signature is always checked')
  }
  return problems
}

/** Resource servers authenticate; a name must mean one party only. */
export function resourceServerProblems(
  servers: readonly ResourceServer[],
  clients: readonly RegisteredClient[],
): ConfigProblem[] {
  const taken = new Set(clients.map((client) => client.clientId))
  return servers.flatMap(({ clientId }, index) => {
    const problem = taken.has(clientId) ? 'is taken by a client or another resource server' : ''
    taken.add(clientId)
    return problem ? [{ path: ['resourceServers', index, 'clientId'], problem }] : []
  })
}

/** Server secrets: the memory store dies with the process, so it alone may do without. */
export function secretProblems(secrets: readonly string[], storeIsMemory: boolean): ConfigProblem[] {
  if (secrets.length === 0 && !storeIsMemory) {
    return [
      {
        path: ['secrets'],
        problem: 'is required unless the store is memory: at least 32 random bytes, base64url',
      },
    ]
  }
  return secrets.flatMap((secret, index) =>
    BASE64URL.test(secret) && Buffer.from(secret, 'base64url').length >= SECRET_BYTES
      ? []
      : [
          {
            path: ['secrets', index],
            problem: 'must be at least 32 random bytes, base64url (e.g. openssl rand -base64 32 | tr +/ -_)',
          },
        ],
  )
}

/** The secrets as bytes; a random one where none is configured. */
export function decodeSecrets(secrets: readonly string[]): Buffer[] {
  return secrets.length === 0
    ? [randomBytes(SECRET_BYTES)]
    : secrets.map((secret) => Buffer.from(secret, 'base64url'))
}

/** Bounds that keep the protocol's promises whatever is configured. */
export function lifetimeProblems(lifetimes: ResolvedOptions['lifetimes']): ConfigProblem[] {
  const bounds: [keyof typeof lifetimes, number, number][] = [
    ['transactionSeconds', 1, 3600],
    ['codeSeconds', 1, 60],
    ['accessTokenSeconds', 1, 86_400],
    ['refreshGraceSeconds', 0, 300],
    ['refreshIdleSeconds', 1, Number.POSITIVE_INFINITY],
    ['sessionSeconds', 1, Number.POSITIVE_INFINITY],
    // An exchange under way is such a record too, and must end within it.
    ['tombstoneSeconds', 60, Number.POSITIVE_INFINITY],
  ]
  return bounds.flatMap(([key, least, most]) =>
    lifetimes[key] >= least && lifetimes[key] <= most
      ? []
      : [
          {
            path: ['lifetimes', key],
            problem:
              most === Number.POSITIVE_INFINITY ? `must be at least ${least}` : `must be ${least} to ${most}`,
          },
        ],
  )
}
