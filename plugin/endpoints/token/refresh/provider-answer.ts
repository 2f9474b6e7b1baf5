import { isDeepStrictEqual } from 'node:util'
import { commitRefresh } from '../../../grant/commit.ts'
import type { ActiveGrant, ProviderSecrets } from '../../../grant/grant.ts'
import { isActive, type StoredGrant } from '../../../grant/grants.ts'
import { keepRefreshToken, renewClaims } from '../../../grant/transitions.ts'
import { ProviderError } from '../../../oauth/errors.ts'
import { causeOf } from '../../../provider/transport/calls.ts'
import { StoreError } from '../../../stores/store.ts'
import { isTimeout, within } from '../../../stores/within.ts'
import { selectClaims } from '../identity.ts'
import type { TokenRequest } from '../token-request.ts'

/** How long an app waits for the verification of an id_token that it does not see. */
const VERIFY_MS = 2000

/**
 * Keeps the refresh token of a response that brought nothing else of use, and gives the lease back: the old one may be
 * dead (D-11).
 *
 * @throws StoreError
 */
export async function commitRefreshToken(
  request: TokenRequest,
  leased: StoredGrant<ActiveGrant>,
  secrets: ProviderSecrets,
  dataKey: Buffer,
): Promise<void> {
  const { grants, seals } = request.services
  const next = keepRefreshToken(leased.grant, seals.sealProviderSecrets(leased.grant, dataKey, secrets))
  await commitRefresh(grants, {
    leased,
    write: async () => (await grants.replace(leased, next)) !== null,
    isWritten: ({ sealed }) => sealed === next.sealed,
    onLost: () => void takeBack(request, leased.grant, secrets, dataKey),
  })
}

/**
 * Takes back what the provider has issued for a grant that somebody else has changed meanwhile: a logout, or a later
 * lease (D-07, D-08). A token that the session lives on is never revoked, and some providers give the same one to both
 * (D-11).
 */
export async function takeBack(
  { services, log }: TokenRequest,
  { id, provider }: ActiveGrant,
  issued: Pick<ProviderSecrets, 'accessToken' | 'refreshToken'>,
  dataKey: Buffer,
): Promise<void> {
  const { grants, seals, providers } = services
  try {
    const stored = await grants.read(id)
    const held = isActive(stored) ? seals.openProviderSecrets(stored.grant, dataKey) : null
    const { accessToken } = issued
    const refreshToken = issued.refreshToken === held?.refreshToken ? undefined : issued.refreshToken
    if (refreshToken !== undefined || accessToken !== held?.accessToken) {
      providers.of({ provider }).revoke({ accessToken, refreshToken })
    }
  } catch (error) {
    // Nobody waits for this, so whatever it is ends here.
    log.warn(
      { err: error },
      'tokens that the provider has just issued are not used, and not revoked: the session may live on them',
    )
  }
}

/**
 * Takes the claims out of the id_token of a refresh, which is committed already. One that cannot be verified now costs
 * the new claims, never the tokens (D-14): an unknown key, keys out of reach, clocks that differ.
 */
export async function readClaims(
  { services, client, log }: TokenRequest,
  grant: ActiveGrant,
  idToken: string,
  accessToken: string,
): Promise<void> {
  const { grants, providers } = services
  try {
    const claims = selectClaims(
      client,
      await within(VERIFY_MS, providers.of(grant).refreshedClaims(idToken, accessToken)),
    )
    const isNew = Object.entries(claims).some(
      ([name, claim]) => !isDeepStrictEqual(claim, grant.claims[name]),
    )
    if (!isNew) return
    for (;;) {
      const stored = await grants.read(grant.id)
      if (!isActive(stored) || (await grants.replace(stored, renewClaims(stored.grant, claims)))) return
    }
  } catch (error) {
    const isExpected = error instanceof ProviderError || error instanceof StoreError || isTimeout(error)
    if (!isExpected) throw error
    log.warn(
      { cause: causeOf(error) },
      'the id_token of a refresh could not be used: the session goes on with the claims that it has; if this happens ' +
        'again, check the jwks_uri of the provider and the clocks',
    )
  }
}
