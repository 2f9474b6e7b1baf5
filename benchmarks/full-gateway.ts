import { renameSync, writeFileSync } from 'node:fs'
import { buildGateway, type GatewayInput, gatewayConfig } from '../gateway/index.ts'
import { issueAccessToken, issueRefreshToken } from '../plugin/grant/credentials.ts'
import type { RedeemingGrant } from '../plugin/grant/grant.ts'
import { Grants } from '../plugin/grant/grants.ts'
import { subjectIndex } from '../plugin/grant/indexes.ts'
import { sealProviderSecrets, wrapFor } from '../plugin/grant/seals.ts'
import { activate } from '../plugin/grant/transitions.ts'
import { hashCredential, issueHandle, newSelector } from '../plugin/handles.ts'
import { resolveOptions } from '../plugin/index.ts'
import { Sealing } from '../plugin/sealing.ts'
import { readArgument } from './argument.ts'
import type { Filled } from './cases/sessions.ts'

/**
 * The gateway with many sessions in its store: real grants, each sealed for handles of its own, as a token
 * exchange would have left them. A million exchanges over HTTP would take an hour.
 */
interface Argument {
  readonly config: GatewayInput
  readonly count: number
  /** How many access tokens are told. */
  readonly active: number
  readonly file: string
}
const { config: input, count, active, file } = readArgument<Argument>()
// Named, so that the sessions made here and those of the gateway are sealed alike.
const config = gatewayConfig({ ...input, secrets: [Buffer.alloc(32, 7).toString('base64url')] })
const options = resolveOptions(config.plugin)
const sealing = new Sealing(options.secrets)
const grants = new Grants(options.store, options.provider.issuer, options.lifetimes)
const provider = options.provider.issuer
const clientId = [...options.clients.keys()][0]!
const SCOPE = ['orders.read']
const HOUR_MS = 3_600_000

const before = heapBytes()
const tokens: string[] = []
for (let i = 0; i < count; i += 1) {
  const token = await signIn(i)
  if (i < active) tokens.push(token)
}
const filled: Filled = { tokens, bytesPerSession: (heapBytes() - before) / count }
writeFileSync(`${file}.new`, JSON.stringify(filled))
renameSync(`${file}.new`, file)

const app = await buildGateway(config)
const { host, port } = config.listen
await app.listen({ host, port })

async function signIn(i: number): Promise<string> {
  const now = grants.now()
  const code = issueHandle('code', newSelector())
  const { selector: id } = code
  const requested = {
    v: 1 as const,
    id,
    provider,
    clientId,
    createdAt: now,
    redirectUri: 'https://app.example.com/callback',
    codeChallenge: hashCredential(code.value),
    scope: [...SCOPE],
    providerScope: [],
  } satisfies Partial<RedeemingGrant>
  const codeHash = hashCredential(code.value)
  const redeeming: RedeemingGrant = { ...requested, status: 'redeeming', codeHash }
  const secrets = {
    accessToken: `provider-access-token-of-a-usual-length-${i}`,
    tokenType: 'Bearer',
    refreshToken: `provider-refresh-token-of-a-usual-length-${i}`,
  }
  const dataKey = sealing.newDataKey()
  const terms = {
    now,
    scope: SCOPE,
    providerExpiresAt: now + 24 * HOUR_MS,
    grantExpiresAt: now + 24 * HOUR_MS,
  }
  // As long as the run may take: nobody refreshes here.
  const lifetimes = { ...options.lifetimes, accessTokenSeconds: 86_400 }
  const issuer = { options: { tokens: options.tokens, lifetimes }, sealing }
  const access = issueAccessToken(issuer, redeeming, dataKey, secrets, terms)
  const refresh = issueRefreshToken(issuer, redeeming, dataKey, terms)
  const subject = `user-${i}`
  const grant = activate(redeeming, {
    activatedAt: now,
    subject,
    claims: {},
    scope: [...SCOPE],
    expiresAt: terms.grantExpiresAt,
    sealed: sealProviderSecrets(sealing, redeeming, dataKey, secrets),
    providerExpiresAt: terms.providerExpiresAt,
    providerLifetimeMs: 24 * HOUR_MS,
    code: { key: wrapFor(sealing, redeeming, 'used-code', code.secret, dataKey), forgottenAt: now + HOUR_MS },
    accessToken: access.record,
    refreshToken: refresh.record,
  })
  await grants.create({
    ...requested,
    status: 'authorizing',
    stateHash: codeHash,
    browserHash: codeHash,
    sealed: '',
    key: '',
  })
  await grants.replace({ grant: redeeming, version: 1 }, grant)
  await grants.addToIndex(subjectIndex(provider, subject), id, grant.expiresAt)
  return access.value
}

/** In use once the garbage is gone. */
function heapBytes(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}
