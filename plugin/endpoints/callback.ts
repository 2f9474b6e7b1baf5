import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { correlationId } from '../grant/audit.ts'
import type { AuthorizingGrant, Grant } from '../grant/grant.ts'
import type { StoredGrant } from '../grant/grants.ts'
import { deriveTransactionSecrets } from '../grant/transaction-secrets.ts'
import { authorize, end } from '../grant/transitions.ts'
import { rawQuery } from '../http/query.ts'
import { pageRoute, rawForm } from '../http/route.ts'
import { callbackSchemas } from '../http/schemas.ts'
import { type AuthorizationResponse, issuerMatches, parseAuthorizationResponse } from '../oauth/callback.ts'
import type { RegisteredClient } from '../oauth/client.ts'
import { OAuthError, type Reason } from '../oauth/errors.ts'
import { redirectUriMatches } from '../oauth/redirect-uri.ts'
import { type Handle, hashCredential, issueHandle, parseHandle, sameHash } from '../secrets/handles.ts'
import { sendAuthorizationResponse } from './authorize/authorization-response.ts'
import { boundTransactions, isSameBrowser, unbindBrowser } from './authorize/browser-binding.ts'
import type { Services } from './services.ts'

/**
 * `GET /oauth2/callback`, or POST where `provider.responseMode` is `form_post` (B-01): the provider's authorization response becomes our one-time code (RFC 6749 §4.1.2). One swap: to
 * `authorized` if everything holds, otherwise to `ended`. What is malformed touches nothing, and neither does
 * whoever comes second.
 */
export function callbackRoute(scope: FastifyInstance, services: Services): void {
  const { responseMode } = services.options.provider
  const isForm = responseMode === 'form_post'
  const endpoint = {
    url: '/callback',
    schema: callbackSchemas[responseMode],
    handler: async (request: FastifyRequest, reply: FastifyReply) => {
      const response = parseAuthorizationResponse(isForm ? rawForm(request) : rawQuery(request), responseMode)
      const { cookie } = request.headers
      const transaction =
        response.state === undefined
          ? await findTransactionOfBrowser(services, response, cookie)
          : await findTransaction(services, response.state)
      const { stored } = transaction
      const outcome = judgeResponse(services, transaction, response, cookie)

      if (!(await services.grants.replace(stored, outcome.next))) throw new OAuthError('state_used')
      services.transactions.finish(stored.grant.id)
      // Not before the swap: whoever is told to try again still needs the cookie.
      reply.header('set-cookie', unbindBrowser(services.options, stored.grant.id))
      return sendOutcome(services, stored.grant, outcome, reply)
    },
  }
  pageRoute(scope, endpoint, isForm ? 'POST' : 'GET')
}

/** A grant that waits for the provider, and the state that has found it; an error may do without. */
interface Transaction {
  readonly state: Handle | undefined
  readonly stored: StoredGrant<AuthorizingGrant>
}

async function findTransaction({ grants }: Services, value: string): Promise<Transaction> {
  const state = parseHandle('state', value)
  const stored = state && (await grants.read(state.selector))
  if (!stored) throw new OAuthError('state_unknown')
  if (stored.grant.status !== 'authorizing') throw new OAuthError('state_used')
  if (!sameHash(stored.grant.stateHash, hashCredential(state.value))) throw new OAuthError('state_unknown')
  return { state, stored: stored as StoredGrant<AuthorizingGrant> }
}

/**
 * The one login that a browser has under way, for an error that came without `state` (B-08). Anybody can send a browser
 * here with such an error, so whatever does not hold touches nothing.
 *
 * @throws OAuthError `callback_malformed`
 */
async function findTransactionOfBrowser(
  { grants, options, provider }: Services,
  response: AuthorizationResponse,
  cookieHeader: string | undefined,
): Promise<Transaction> {
  const [id, ...others] = boundTransactions(options, cookieHeader)
  const stored = id === undefined || others.length > 0 ? null : await grants.read(id)
  if (
    stored?.grant.status !== 'authorizing' ||
    !isSameBrowser(options, stored.grant, cookieHeader) ||
    !issuerMatches(response, provider)
  ) {
    throw new OAuthError('callback_malformed')
  }
  return { state: undefined, stored: stored as StoredGrant<AuthorizingGrant> }
}

/** What the grant becomes, and who is told what about it: the app, or nobody but the browser. */
type Outcome = { readonly next: Grant } & (
  | {
      readonly refused: Reason
      readonly event: `callback.${'refused' | 'browser_mismatch' | 'iss_mismatch'}`
    }
  | { readonly client: RegisteredClient; readonly code: string }
  | { readonly client: RegisteredClient; readonly error: string; readonly detail: string }
)

/** Browser, issuer, client, the provider's word, in this order (B-04, B-05, B-14). */
function judgeResponse(
  services: Services,
  transaction: Transaction,
  response: AuthorizationResponse,
  cookieHeader: string | undefined,
): Outcome {
  const { grant } = transaction.stored
  const next = end(grant, 'authorization_failed', services.grants.now())
  if (!isSameBrowser(services.options, grant, cookieHeader)) {
    return { next, refused: 'browser_mismatch', event: 'callback.browser_mismatch' }
  }
  if (!issuerMatches(response, services.provider)) {
    return { next, refused: 'issuer_mismatch', event: 'callback.iss_mismatch' }
  }
  const client = services.options.clients.get(grant.clientId)
  if (!client?.enabled || !client.redirectUris.some((uri) => redirectUriMatches(uri, grant.redirectUri))) {
    return { next, refused: 'client_gone', event: 'callback.refused' }
  }
  if (response.error !== undefined) return { next, client, error: response.error, detail: response.detail }

  const issued = issueCode(services, transaction, response)
  return issued ? { ...issued, client } : { next, refused: 'transaction_sealed', event: 'callback.refused' }
}

/** What the provider has sent for the token exchange. */
type ProviderCode = Pick<Extract<AuthorizationResponse, { code: string }>, 'code' | 'user'>

/** Our code, and the provider's under a seal that it opens, from which it never leaves (B-09). Null: a server secret is gone. */
function issueCode(
  { options, grants, seals }: Services,
  { state, stored: { grant } }: Transaction,
  { code: providerCode, user }: ProviderCode,
): { next: Grant; code: string } | null {
  const secrets = state && deriveTransactionSecrets(seals, options.provider, grant, state.secret)
  if (!secrets) return null

  const code = issueHandle('code', grant.id)
  const dataKey = seals.newDataKey()
  const next = authorize(grant, {
    codeHash: hashCredential(code.value),
    codeExpiresAt: grants.now() + options.lifetimes.codeSeconds * 1000,
    key: seals.wrapDataKey(grant, 'code', code.secret, dataKey),
    sealed: seals.sealTokenExchangeSecrets(grant, dataKey, {
      ...secrets,
      code: providerCode,
      ...(user && { user }),
    }),
  })
  return { next, code: code.value }
}

function sendOutcome(
  { audit, options }: Services,
  grant: AuthorizingGrant,
  outcome: Outcome,
  reply: FastifyReply,
): FastifyReply {
  const { request } = reply
  const { redirectUri, state } = grant
  const iss = options.publicUrl
  if ('code' in outcome) {
    return sendAuthorizationResponse(
      reply,
      { client: outcome.client, redirectUri },
      { code: outcome.code, state, iss },
    )
  }
  if ('refused' in outcome) {
    audit.record(outcome.event, { request, grant, reason: outcome.refused })
    throw new OAuthError(outcome.refused)
  }
  request.log.info({ grant: correlationId(grant.id), providerError: outcome.detail }, 'the provider refused')
  audit.record('callback.refused', { request, grant })
  return sendAuthorizationResponse(
    reply,
    { client: outcome.client, redirectUri },
    { error: outcome.error, state, iss },
  )
}
