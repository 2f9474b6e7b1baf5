import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type AuditEventName, correlationId } from '../grant/audit.ts'
import type { AuthorizingGrant, Grant } from '../grant/grant.ts'
import type { StoredGrant } from '../grant/grants.ts'
import { sealExchangeSecrets, wrapFor } from '../grant/seals.ts'
import { transactionSecrets } from '../grant/transaction-secrets.ts'
import { authorize, end } from '../grant/transitions.ts'
import { rawQuery } from '../http/query.ts'
import { pageRoute } from '../http/route.ts'
import { callbackSchema } from '../http/schemas.ts'
import { type AuthorizationResponse, issuerMatches, parseAuthorizationResponse } from '../oauth/callback.ts'
import { OAuthError, type Reason } from '../oauth/errors.ts'
import { redirectUriMatches } from '../oauth/redirect-uri.ts'
import type { RegisteredClient } from '../options/resolved.ts'
import { type Handle, hashCredential, issueHandle, parseHandle, sameHash } from '../secrets/handles.ts'
import { answerApp } from './authorize/authorization-response.ts'
import { isSameBrowser, unbindBrowser } from './authorize/browser-binding.ts'
import type { Services } from './services.ts'

/**
 * `GET /oauth2/callback`: the provider's answer becomes our one-time code (RFC 6749 §4.1.2). One swap: to
 * `authorized` if everything holds, otherwise to `ended`. What is malformed touches nothing, and neither does
 * whoever comes second.
 */
export function callbackRoute(scope: FastifyInstance, services: Services): void {
  pageRoute(scope, {
    url: '/callback',
    schema: callbackSchema,
    handler: async (request, reply) => {
      const response = parseAuthorizationResponse(rawQuery(request))
      const { state, stored } = await findTransaction(services, response.state)
      const outcome = judge(services, stored.grant, state, response, request.headers.cookie)

      if (!(await services.grants.replace(stored, outcome.next))) throw new OAuthError('state_used')
      services.transactions.finish(stored.grant.id)
      // Not before the swap: whoever is told to try again still needs the cookie.
      reply.header('set-cookie', unbindBrowser(services.options, stored.grant.id))
      return answer(services, stored.grant, outcome, request, reply)
    },
  })
}

async function findTransaction(
  { grants }: Services,
  value: string,
): Promise<{ state: Handle; stored: StoredGrant<AuthorizingGrant> }> {
  const state = parseHandle('state', value)
  const stored = state && (await grants.read(state.selector))
  if (!stored) throw new OAuthError('state_unknown')
  if (stored.grant.status !== 'authorizing') throw new OAuthError('state_used')
  if (!sameHash(stored.grant.stateHash, hashCredential(state.value))) throw new OAuthError('state_unknown')
  return { state, stored: stored as StoredGrant<AuthorizingGrant> }
}

/** What the grant becomes, and who is told what about it: the app, or nobody but the browser. */
type Outcome = { readonly next: Grant } & (
  | { readonly refused: Reason; readonly event: AuditEventName }
  | { readonly client: RegisteredClient; readonly code: string }
  | { readonly client: RegisteredClient; readonly error: string; readonly detail: string }
)

/** Browser, issuer, client, the provider's word, in this order (B-04, B-05, B-14). */
function judge(
  services: Services,
  grant: AuthorizingGrant,
  state: Handle,
  response: AuthorizationResponse,
  cookieHeader: string | undefined,
): Outcome {
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

  const issued = issueCode(services, grant, state, response.code)
  return issued ? { ...issued, client } : { next, refused: 'transaction_sealed', event: 'callback.refused' }
}

/** Our code, and the provider's under a seal that it opens, from which it never leaves (B-09). Null: a server secret is gone. */
function issueCode(
  services: Services,
  grant: AuthorizingGrant,
  state: Handle,
  providerCode: string,
): { next: Grant; code: string } | null {
  const { options, grants, sealing } = services
  const transaction = transactionSecrets(services, grant, state.secret, grant.serverSecret)
  if (!transaction) return null

  const code = issueHandle('code', grant.id)
  const dataKey = sealing.newDataKey()
  const next = authorize(grant, {
    codeHash: hashCredential(code.value),
    codeExpiresAt: grants.now() + options.lifetimes.codeSeconds * 1000,
    key: wrapFor(sealing, grant, 'code', code.secret, dataKey),
    sealed: sealExchangeSecrets(sealing, grant, dataKey, { ...transaction, code: providerCode }),
  })
  return { next, code: code.value }
}

function answer(
  { audit, options }: Services,
  { id, clientId, redirectUri, state }: AuthorizingGrant,
  outcome: Outcome,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const iss = options.publicUrl
  if ('code' in outcome) {
    return answerApp(reply, { client: outcome.client, redirectUri }, { code: outcome.code, state, iss })
  }
  if ('refused' in outcome) {
    audit.record(outcome.event, { request, grantId: id, clientId, reason: outcome.refused })
    throw new OAuthError(outcome.refused)
  }
  request.log.info({ grant: correlationId(id), providerError: outcome.detail }, 'the provider refused')
  audit.record('callback.refused', { request, grantId: id, clientId })
  return answerApp(reply, { client: outcome.client, redirectUri }, { error: outcome.error, state, iss })
}
