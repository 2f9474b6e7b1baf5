import { commitRefresh } from '../../../grant/commit.ts'
import type { ActiveGrant, ProviderSecrets } from '../../../grant/grant.ts'
import type { StoredGrant } from '../../../grant/grants.ts'
import { rotate } from '../../../grant/transitions.ts'
import { OAuthError } from '../../../oauth/errors.ts'
import { type TokenResponse, tokenResponse } from '../../../oauth/token.ts'
import type { ProviderTokens } from '../../../provider/provider.ts'
import type { Handle } from '../../../secrets/handles.ts'
import { narrowByProvider } from '../identity.ts'
import { shareToken } from '../share-token.ts'
import type { TokenRequest } from '../token-request.ts'

/** What the provider's response to a refresh has brought. */
export interface RefreshedProvider {
  readonly tokens: ProviderTokens
  readonly secrets: ProviderSecrets
  /** Called when another writer has won. */
  onLost(): void
}

/** What a rotation is made with. */
export interface Rotation {
  readonly dataKey: Buffer
  /** Of the access token, as its resources. */
  readonly scope: readonly string[]
  readonly resources?: readonly string[] | undefined
  /** If it was asked. */
  readonly provider?: RefreshedProvider
}

/**
 * One generation further, by one swap: a new access token, a new refresh token, and the provider's renewed
 * tokens if it was asked. The response can be made again for the holder of the predecessor, who may not have received it.
 *
 * @param presented the refresh handle that is current.
 * @returns null if another request was first. @throws StoreError
 * @throws ProviderError `provider_subject_mismatch` for an access token of another subject (`tokens: relay`).
 */
export async function rotateGrant(
  request: TokenRequest,
  presented: Handle,
  current: StoredGrant<ActiveGrant>,
  step: Rotation,
): Promise<TokenResponse | null> {
  const { options, grants, seals, credentials } = request.services
  const { client } = request
  const { grant } = current
  const { dataKey, provider } = step
  const tokens = provider?.tokens
  const now = grants.now()
  const isRelayed = options.tokens === 'relay'
  const secrets = provider?.secrets ?? (isRelayed ? seals.openProviderSecrets(grant, dataKey) : undefined)
  // A handle of ours needs nothing of them, but they must be those of this grant (G-03).
  if (secrets === null || (!secrets && !seals.opensProviderSecrets(grant, dataKey))) {
    throw new OAuthError('grant_unreadable')
  }
  const successor = credentials.deriveSuccessor(grant, presented, dataKey, seals.serverSecret)!

  const providerLifetimeMs = tokens ? tokens.expiresInSeconds * 1000 : grant.providerLifetimeMs
  const providerExpiresAt = tokens ? now + providerLifetimeMs : grant.providerExpiresAt
  const terms = {
    now,
    providerExpiresAt,
    grantExpiresAt: grant.expiresAt,
    scope: tokens ? narrowByProvider(step.scope, client, tokens) : step.scope,
    resources: step.resources,
  }
  const access = credentials.issueAccessToken(grant, dataKey, secrets, {
    ...{ ...terms, secret: successor.accessToken },
    jkt: request.jkt,
  })
  const refresh = credentials.issueRefreshToken(grant, dataKey, {
    ...{ ...terms, secret: successor.refreshToken, previous: grant.refreshToken! },
    jkt: request.refreshJkt,
  })
  const graceMs = options.lifetimes.refreshGraceSeconds * 1000
  const next = rotate(grant, {
    now,
    accessToken: access.record,
    refreshToken: {
      ...refresh.record,
      predecessor: { hash: grant.refreshToken!.hash, graceEndsAt: now + graceMs },
    },
    ...(tokens && {
      providerExpiresAt,
      providerLifetimeMs,
      scope: [...narrowByProvider(grant.scope, client, tokens)],
      sealed: seals.sealProviderSecrets(grant, dataKey, provider!.secrets),
    }),
  })
  const write = async () => {
    if (isRelayed) await shareToken(request.services, next, access.record)
    return (await grants.replace(current, next)) !== null
  }
  // Whoever else has rotated this generation has made the same handles: only what they stand for tells the two apart.
  const isWritten = ({ refreshToken, accessTokens, sealed }: ActiveGrant) => {
    if (refreshToken?.hash === refresh.record.hash) return sealed === next.sealed
    // It may have been followed by the next one: somebody else has been given it meanwhile (D-05).
    if (refreshToken?.predecessor?.hash !== refresh.record.hash) return false
    const { hash, expiresAt } = access.record
    return accessTokens.some((token) => token.hash === hash && token.expiresAt === expiresAt)
  }
  const { onLost } = provider ?? {}
  const isCommitted = onLost ? commitRefresh(grants, { leased: current, write, isWritten, onLost }) : write()
  if (!(await isCommitted)) return null

  request.record('session.refreshed', { grant: next })
  return tokenResponse({
    accessToken: access.value,
    tokenType: access.tokenType,
    expiresInSeconds: (access.record.expiresAt - grants.now()) / 1000,
    refreshToken: refresh.value,
    scope: terms.scope,
  })
}
