import type { FastifyInstance } from 'fastify'
import { isAllowed } from '../endpoints/authorize/provider-choice.ts'
import type { Services } from '../endpoints/services.ts'
import { Credentials } from '../grant/credentials.ts'
import type { ProviderSecrets, RedeemingGrant } from '../grant/grant.ts'
import { Grants } from '../grant/grants.ts'
import { indexesOf, relayedTokenIndex } from '../grant/indexes.ts'
import { Seals } from '../grant/seals.ts'
import { activate } from '../grant/transitions.ts'
import type { RegisteredClient } from '../oauth/client.ts'
import { resolveOptions } from '../options/resolve.ts'
import type { PkceOptions } from '../options/types/options.ts'
import { hashCredential, issueFirstHandle } from '../secrets/handles.ts'
import { randomBytes } from '../secrets/random.ts'
import { Sealing } from '../secrets/sealing.ts'
import type { Session } from '../session/session.ts'
import { servicesOf } from './decorate.ts'
import { endSession } from './management.ts'

/** Who is signed in. Everything has a default. */
export interface TestSessionOptions {
  /** Name of the provider, where there are several. Default: the client's first. */
  readonly provider?: string
  /** Default `test-subject`. */
  readonly subject?: string
  /** Our scopes, of those that the client may have. Default: all of them. */
  readonly scopes?: readonly string[]
  /** Claims besides `sub`, of those in the client's `claims`. Default: none. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Default: the first registered client. */
  readonly clientId?: string
  /** Life of the access token and of the whole grant. Default `lifetimes.accessTokenSeconds`. */
  readonly expiresInSeconds?: number
}

/** A signed-in person, for tests of routes that require a session. */
export interface TestSession {
  /** The `Authorization` value of the app's requests: `Bearer …`. */
  readonly authorization: string
  /** What `request.pkceSession` will be. */
  readonly session: Session
  /** Ends the grant as `app.pkce.endSession` does: every later request gets a 401. @throws StoreError */
  end(): Promise<void>
}

/** What a grant is issued as. */
export interface IssuedTestGrant {
  readonly grantId: string
  readonly accessToken: string
}

/** Makes any number of grants in a store, before or without an app that serves them. */
export interface TestGrantIssuer {
  /** @throws RangeError for options that no login could lead to. @throws StoreError */
  issue(options?: TestSessionOptions): Promise<IssuedTestGrant>
}

/**
 * Signs somebody in without a login: a real grant, sealed for a real access token, in the app's own store. It works
 * with `app.inject`, and asks neither the provider nor the network.
 *
 * @param app where the plugin has been registered and loaded.
 * @throws Error in production, and for an app without the plugin.
 * @throws RangeError for options that no login could lead to. @throws StoreError
 */
export async function testSession(
  app: FastifyInstance,
  options: TestSessionOptions = {},
): Promise<TestSession> {
  refuseProduction()
  const services = servicesOf(app)
  if (!services) {
    throw new Error(
      'fastify-pkce/testing: the app has no fastify-pkce yet: await app.register(pkce, …) or app.ready() first',
    )
  }
  const { grantId, accessToken } = await issueGrant(services, options)
  return {
    authorization: `Bearer ${accessToken}`,
    session: await services.sessions.resolve(accessToken),
    async end() {
      await endSession(services, { grantId })
    },
  }
}

/**
 * Issues grants as a token exchange leaves them, for load tests: a store is filled a thousand times as fast as by
 * logins.
 *
 * @param options of the app that is to serve the grants: its secrets and its store.
 * @throws Error in production. @throws ConfigError as the plugin.
 */
export function createTestGrantIssuer(options: PkceOptions): TestGrantIssuer {
  refuseProduction()
  const resolved = resolveOptions(options)
  const services = {
    options: resolved,
    grants: new Grants(
      resolved.store,
      resolved.providers.map((provider) => provider.options.issuer),
      resolved.lifetimes,
    ),
    seals: new Seals(new Sealing(resolved.secrets)),
  }
  return { issue: (options = {}) => issueGrant(services, options) }
}

/** Whoever can call this signs in as anybody. */
export function refuseProduction(): void {
  if (process.env.NODE_ENV === 'production') {
    throw new Error(
      'fastify-pkce/testing: NODE_ENV is production, and sessions without a login are for tests',
    )
  }
}

type Issuing = Pick<Services, 'options' | 'grants' | 'seals'>

async function issueGrant(services: Issuing, options: TestSessionOptions): Promise<IssuedTestGrant> {
  const { grants, seals } = services
  const { client, issuer, subject, scopes, claims, expiresInSeconds } = complete(services, options)
  const now = grants.now()
  const expiresAt = now + expiresInSeconds * 1000
  const code = issueFirstHandle('code')
  const codeHash = hashCredential(code.value)
  const owner = { id: code.selector, clientId: client.clientId }
  const requested = {
    ...{ v: 1 as const, ...owner, provider: issuer, createdAt: now },
    // Nobody holds the code, and nobody could prove this challenge.
    ...{ redirectUri: client.redirectUris[0]!, codeChallenge: codeHash, scope: scopes, providerScope: [] },
  }
  const dataKey = seals.newDataKey()
  const secrets = {
    accessToken: randomBytes(32).toString('base64url'),
    tokenType: 'Bearer',
    refreshToken: randomBytes(32).toString('base64url'),
  } satisfies ProviderSecrets
  const terms = { now, scope: scopes, providerExpiresAt: expiresAt, grantExpiresAt: expiresAt }
  const lifetimes = { ...services.options.lifetimes, accessTokenSeconds: expiresInSeconds }
  const credentials = new Credentials({ tokens: services.options.tokens, lifetimes }, seals)
  const access = credentials.issueAccessToken(owner, dataKey, secrets, terms)
  const redeeming: RedeemingGrant = {
    ...requested,
    status: 'redeeming',
    codeHash,
    key: seals.wrapDataKey(owner, 'code', code.secret, dataKey),
  }
  const active = activate(redeeming, {
    ...{ activatedAt: now, subject, claims, scope: scopes, expiresAt },
    sealed: seals.sealProviderSecrets(owner, dataKey, secrets),
    providerExpiresAt: expiresAt,
    providerLifetimeMs: expiresInSeconds * 1000,
    codeForgottenAt: now + lifetimes.tombstoneSeconds * 1000,
    accessToken: access.record,
    refreshToken: credentials.issueRefreshToken(owner, dataKey, terms).record,
  })

  const begun = { stateHash: codeHash, browserHash: codeHash, serverSecret: seals.serverSecret }
  await grants.create({ ...requested, ...begun, status: 'authorizing' })
  await Promise.all([
    grants.addToIndex(indexesOf(active), owner.id, expiresAt),
    services.options.tokens === 'relay' &&
      grants.addToIndex([relayedTokenIndex(access.record.hash)], owner.id, expiresAt),
  ])
  await grants.replace({ grant: redeeming, version: 1 }, active)
  return { grantId: owner.id, accessToken: access.value }
}

/** The options with their defaults. A session that production cannot have proves nothing. @throws RangeError */
function complete({ options }: Issuing, given: TestSessionOptions) {
  const clientId = given.clientId ?? [...options.clients.keys()][0]!
  const client = options.clients.get(clientId)
  if (!client?.enabled) refuse('clientId', clientId, 'is no registered and enabled client')
  const allowed = options.providers.filter(({ name }) => isAllowed(client, name))
  const provider =
    given.provider === undefined ? allowed[0] : allowed.find(({ name }) => name === given.provider)
  if (!provider) refuse('provider', String(given.provider), `is no provider of ${clientId}`)
  const {
    subject = 'test-subject',
    scopes = client.scopes,
    claims = {},
    expiresInSeconds = options.lifetimes.accessTokenSeconds,
  } = given
  if (subject === '') refuse('subject', subject, 'is empty')
  refuseOthers('scopes', scopes, client)
  refuseOthers('claims', Object.keys(claims), client)
  if (!Number.isSafeInteger(expiresInSeconds) || expiresInSeconds < 1) {
    refuse('expiresInSeconds', String(expiresInSeconds), 'is no positive integer')
  }
  return {
    client,
    issuer: provider.options.issuer,
    subject,
    scopes: [...scopes],
    claims: { ...claims },
    expiresInSeconds,
  }
}

function refuseOthers(option: 'scopes' | 'claims', names: readonly string[], client: RegisteredClient): void {
  const other = names.find((name) => !client[option].includes(name))
  if (other !== undefined) refuse(option, other, `is not in clients[].${option} of ${client.clientId}`)
}

function refuse(option: keyof TestSessionOptions, value: string, problem: string): never {
  throw new RangeError(`fastify-pkce/testing: ${option}: ${JSON.stringify(value)} ${problem}`)
}
