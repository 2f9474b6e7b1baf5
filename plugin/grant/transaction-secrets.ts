import type { Services } from '../endpoints/services.ts'
import type { TransactionSecrets } from './grant.ts'
import { deriveFor } from './seals.ts'

/**
 * What binds the provider's answer to our request: a nonce with `openid`, and our own code verifier. Both are derived
 * from the state's secret, so they are fresh for every transaction, and until it comes back they are nowhere
 * (A-16, A-17; RFC 7636 §4.1, OpenID Connect Core §3.1.2.1).
 *
 * @param serverSecret names the server secret they are derived with; null is returned once it is gone.
 */
export function transactionSecrets(
  { options, sealing }: Pick<Services, 'options' | 'sealing'>,
  owner: { readonly id: string; readonly clientId: string },
  state: Buffer,
  serverSecret: string,
): TransactionSecrets | null {
  const { scope, pkce } = options.provider
  const nonce = scope.split(' ').includes('openid')
    ? deriveFor(sealing, owner, 'nonce', state, serverSecret)
    : undefined
  const codeVerifier =
    pkce === 'own' ? deriveFor(sealing, owner, 'code_verifier', state, serverSecret) : undefined
  if (nonce === null || codeVerifier === null) return null
  return { ...(nonce !== undefined && { nonce }), ...(codeVerifier !== undefined && { codeVerifier }) }
}
