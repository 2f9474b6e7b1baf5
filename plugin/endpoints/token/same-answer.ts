import type { AnswerSecrets } from '../../grant/credentials.ts'
import { tokenTypeOf } from '../../grant/credentials.ts'
import type { AccessTokenRecord, ActiveGrant } from '../../grant/grant.ts'
import { accessTokenOf } from '../../grant/relayed-tokens.ts'
import { type TokenResponse, tokenResponse } from '../../oauth/token.ts'
import { hashCredential, issueHandle } from '../../secrets/handles.ts'
import type { Services } from '../services.ts'

/** An answer that was given before, for the app that may not have received it. */
export interface SameAnswer {
  readonly token: AccessTokenRecord
  readonly response: TokenResponse
}

/**
 * Makes the last answer of a grant again: the handles come out of the same secrets, and the time that has passed is taken
 * off (C-25, D-05).
 *
 * @param answer as it was derived the first time. @returns null if these are not the grant's tokens now, or nothing opens.
 */
export function sameAnswer(
  { options, grants, seals }: Services,
  grant: ActiveGrant,
  dataKey: Buffer,
  answer: AnswerSecrets,
): SameAnswer | null {
  const { id, refreshToken } = grant
  // Of a row that was swapped nothing is given (G-03).
  const provider = seals.openProviderSecrets(grant, dataKey)
  if (!provider) return null
  const relayed = options.tokens === 'relay' ? provider : undefined
  const accessToken = relayed?.accessToken ?? issueHandle('access', id, answer.accessToken).value
  const refresh = issueHandle('refresh', id, answer.refreshToken).value
  const token = accessTokenOf(grant, hashCredential(accessToken))
  if (!token || (refreshToken && refreshToken.hash !== hashCredential(refresh))) return null
  return {
    token,
    response: tokenResponse({
      accessToken,
      tokenType: relayed?.tokenType ?? tokenTypeOf(token),
      expiresInSeconds: (token.expiresAt - grants.now()) / 1000,
      refreshToken: refreshToken && refresh,
      scope: token.scope,
    }),
  }
}
