import type { GatewayConfig } from '../../gateway/index.ts'
import { issueAccessToken, issueRefreshToken } from '../../plugin/grant/credentials.ts'
import type { RedeemingGrant } from '../../plugin/grant/grant.ts'
import { Grants } from '../../plugin/grant/grants.ts'
import { subjectIndex } from '../../plugin/grant/indexes.ts'
import { sealProviderSecrets, wrapFor } from '../../plugin/grant/seals.ts'
import { activate } from '../../plugin/grant/transitions.ts'
import { resolveOptions } from '../../plugin/index.ts'
import { hashCredential, issueFirstHandle } from '../../plugin/secrets/handles.ts'
import { Sealing } from '../../plugin/secrets/sealing.ts'

const SCOPE = ['orders.read']
const HOUR_MS = 3_600_000

/**
 * Makes sessions in the store of a gateway: real grants, each sealed for handles of its own, as a token exchange
 * would have left them. A million exchanges over HTTP would take an hour.
 */
export class SessionMaker {
  readonly #options: ReturnType<typeof resolveOptions>
  readonly #sealing: Sealing
  readonly #grants: Grants
  readonly #clientId: string

  /** @param config with the secrets and the store of the gateway. */
  constructor({ plugin }: Pick<GatewayConfig, 'plugin'>) {
    const options = resolveOptions(plugin)
    this.#options = options
    this.#sealing = new Sealing(options.secrets)
    this.#grants = new Grants(options.store, options.provider.issuer, options.lifetimes)
    this.#clientId = [...options.clients.keys()][0]!
  }

  /** The session of the `i`-th user. @returns its access token. */
  async make(i: number): Promise<string> {
    const now = this.#grants.now()
    const code = issueFirstHandle('code')
    const codeHash = hashCredential(code.value)
    const { selector: id } = code
    const provider = this.#options.provider.issuer
    const requested = {
      v: 1 as const,
      id,
      provider,
      clientId: this.#clientId,
      createdAt: now,
      redirectUri: 'https://app.example.com/callback',
      codeChallenge: codeHash,
      scope: [...SCOPE],
      providerScope: [],
    } satisfies Partial<RedeemingGrant>
    const dataKey = this.#sealing.newDataKey()
    const key = wrapFor(this.#sealing, requested, 'code', code.secret, dataKey)
    const redeeming: RedeemingGrant = { ...requested, status: 'redeeming', codeHash, key }
    const { grant, token } = this.#signIn(redeeming, dataKey, i)
    await this.#grants.create({
      ...requested,
      status: 'authorizing',
      stateHash: codeHash,
      browserHash: codeHash,
      serverSecret: this.#sealing.current,
    })
    await this.#grants.replace({ grant: redeeming, version: 1 }, grant)
    await this.#grants.addToIndex(subjectIndex(provider, grant.subject), id, grant.expiresAt)
    return token
  }

  #signIn(redeeming: RedeemingGrant, dataKey: Buffer, i: number) {
    const sealing = this.#sealing
    const now = redeeming.createdAt
    const secrets = {
      accessToken: `provider-access-token-of-a-usual-length-${i}`,
      tokenType: 'Bearer',
      refreshToken: `provider-refresh-token-of-a-usual-length-${i}`,
    }
    const dayLater = now + 24 * HOUR_MS
    const terms = { now, scope: SCOPE, providerExpiresAt: dayLater, grantExpiresAt: dayLater }
    // As long as the run may take: nobody refreshes here.
    const lifetimes = { ...this.#options.lifetimes, accessTokenSeconds: 86_400 }
    const issuer = { options: { tokens: this.#options.tokens, lifetimes }, sealing }
    const access = issueAccessToken(issuer, redeeming, dataKey, secrets, terms)
    const refresh = issueRefreshToken(issuer, redeeming, dataKey, terms)
    const grant = activate(redeeming, {
      activatedAt: now,
      subject: `user-${i}`,
      claims: {},
      scope: [...SCOPE],
      expiresAt: dayLater,
      sealed: sealProviderSecrets(sealing, redeeming, dataKey, secrets),
      providerExpiresAt: dayLater,
      providerLifetimeMs: 24 * HOUR_MS,
      codeForgottenAt: now + HOUR_MS,
      accessToken: access.record,
      refreshToken: refresh.record,
    })
    return { grant, token: access.value }
  }
}
