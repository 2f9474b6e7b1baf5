import { isDeepStrictEqual } from 'node:util'
import type { Test } from 'tap'
import { MockAgent } from 'undici'
import { ProviderError } from '../../plugin/oauth/errors.ts'
import { ConfigError } from '../../plugin/options/config-error.ts'
import type { ResolvedProvider } from '../../plugin/options/resolved.ts'
import { createProvider, type ProviderClientOptions } from '../../plugin/provider/client.ts'

export const ISSUER = 'https://as.example'
export const CALLBACK = 'https://api.example/oauth2/callback'
export const JSON_TYPE = { headers: { 'content-type': 'application/json' } }

/** What a provider with everything says of itself. */
export const metadata = {
  issuer: ISSUER,
  authorization_endpoint: `${ISSUER}/authorize`,
  token_endpoint: `${ISSUER}/token`,
  revocation_endpoint: `${ISSUER}/revoke`,
  userinfo_endpoint: `${ISSUER}/userinfo`,
  jwks_uri: `${ISSUER}/jwks`,
  code_challenge_methods_supported: ['S256'],
}

export const providerOptions: ResolvedProvider = {
  issuer: ISSUER,
  clientId: 'backend',
  clientSecret: 'secret',
  clientAuthentication: 'client_secret_post',
  scope: 'openid offline_access',
  pkce: 'own',
  par: 'auto',
  responseMode: 'query',
  subjectClaim: 'sub',
  nonce: true,
  idToken: 'check',
  trustedAudiences: [],
  clockToleranceSeconds: 60,
  authorizationParams: {},
  timeouts: { connectMs: 3000, headersMs: 5000, bodyMs: 5000, totalMs: 10_000 },
  allowedHosts: [],
  dangerouslyAllowPrivateNetwork: false,
}

export interface LogLine {
  level: string
  fields: object
  message: string
}

export function recordingLog() {
  const lines: LogLine[] = []
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, fields, message })
  }
  return { lines, log: { info: at('info'), warn: at('warn'), error: at('error') } }
}

/** Matches a form body that has exactly these members. */
export function form(expected: Record<string, string>): (body: string) => boolean {
  return (body) => isDeepStrictEqual(Object.fromEntries(new URLSearchParams(body)), expected)
}

/**
 * A provider client over undici's MockAgent, with a clock that stands and pauses that do not wait; those that are
 * longer than any between two tries never end. At the end of the test every request that was announced must have
 * been made.
 */
export function mockProvider(
  t: Test,
  overrides: Partial<ResolvedProvider> = {},
  options: Partial<ProviderClientOptions> = {},
) {
  const agent = new MockAgent()
  agent.disableNetConnect()
  const as = agent.get(ISSUER)
  const { lines, log } = recordingLog()
  const clock = { ms: Date.now() }
  const provider = createProvider({
    provider: { ...providerOptions, ...overrides },
    callbackUrl: CALLBACK,
    log,
    dispatcher: agent,
    now: () => clock.ms,
    random: () => 0,
    sleep: (ms) => (ms > 30_000 ? new Promise(() => {}) : Promise.resolve()),
    environment: {},
    ...options,
  })
  t.teardown(async () => {
    await provider.close()
    agent.assertNoPendingInterceptors()
    await agent.close()
  })
  return {
    provider,
    as,
    clock,
    lines,
    discovery: (body: object = metadata, status = 200) =>
      as.intercept({ path: '/.well-known/openid-configuration' }).reply(status, body, JSON_TYPE),
    /** One answer of an endpoint to a POST with exactly these form members. */
    post: (path: string, expected: Record<string, string>) =>
      as.intercept({ path, method: 'POST', body: form(expected) }),
  }
}

/** A provider client that has accepted `metadata` and `extra`. */
export async function readyProvider(
  t: Test,
  overrides: Partial<ResolvedProvider> = {},
  extra: object = {},
  options: Partial<ProviderClientOptions> = {},
) {
  const mock = mockProvider(t, overrides, options)
  mock.discovery({ ...metadata, ...extra })
  await mock.provider.start()
  return mock
}

export const OUR_CREDENTIALS = { client_id: 'backend', client_secret: 'secret' }
/** The exchange of the code `c0de` as it must be on the wire. */
export const EXCHANGE = {
  ...OUR_CREDENTIALS,
  grant_type: 'authorization_code',
  code: 'c0de',
  redirect_uri: CALLBACK,
  code_verifier: 'v'.repeat(43),
}
export const exchange = { code: 'c0de', codeVerifier: 'v'.repeat(43) }
export const REFRESH = { ...OUR_CREDENTIALS, grant_type: 'refresh_token', refresh_token: 'r1' }
export const TOKENS = { access_token: 'at', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rt' }

/** `call` fails with a ProviderError that matches `expected`; the error is returned for a closer look. */
export async function refused(
  t: Test,
  call: Promise<unknown>,
  expected: Partial<Pick<ProviderError, 'reason' | 'statusCode' | 'unsent' | 'transient' | 'endpoint'>>,
  message = expected.reason ?? 'failure',
): Promise<unknown> {
  const error = await call.then(
    () => 'fulfilled',
    (error: unknown) => error,
  )
  t.ok(error instanceof ProviderError, 'a ProviderError')
  t.match(error, expected, message)
  return error
}

/** Everything of an error that could reach a log. */
export function everythingIn(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return `${error.message} ${error.stack} ${JSON.stringify(error)} ${everythingIn(error.cause)}`
}

/** The problems of a ConfigError as `path: problem`. */
export async function problemsOf(start: Promise<void>): Promise<string[]> {
  try {
    await start
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((p) => `${p.path.join('.')}: ${p.problem}`)
    throw error
  }
  return []
}

/** No id_tokens, and so no keys to fetch. */
export const withoutOpenId = { scope: 'offline_access' }
