import { hasOpenId } from '../options/provider/rules.ts'
import type { ResolvedProvider } from '../options/resolved.ts'
import type { AuthorizingGrant, TransactionSecrets } from './grant.ts'
import type { Seals } from './seals.ts'

/**
 * What binds the provider's response to our request: a nonce with `openid`, and our own code verifier. Both are
 * derived from the state's secret, so they are fresh for every transaction, and until the state comes back they are
 * nowhere (A-16, A-17; RFC 7636 §4.1, OpenID Connect Core §3.1.2.1).
 *
 * @param transaction its `serverSecret` names the server secret they are derived with.
 * @returns null once that is gone.
 */
export function deriveTransactionSecrets(
  seals: Seals,
  provider: Pick<ResolvedProvider, 'scope' | 'idToken' | 'nonce' | 'pkce'>,
  transaction: Pick<AuthorizingGrant, 'id' | 'clientId' | 'serverSecret'>,
  stateSecret: Buffer,
): TransactionSecrets | null {
  const derive = (purpose: 'nonce' | 'code_verifier') =>
    seals.derive(transaction, purpose, stateSecret, transaction.serverSecret)?.toString('base64url') ?? null
  const nonce = hasOpenId(provider) && provider.nonce ? derive('nonce') : undefined
  const codeVerifier = provider.pkce === 'own' ? derive('code_verifier') : undefined
  if (nonce === null || codeVerifier === null) return null
  return { ...(nonce !== undefined && { nonce }), ...(codeVerifier !== undefined && { codeVerifier }) }
}
