import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AuthorizingGrant, Grant } from '../grant/grant.ts'
import type { StoredGrant } from '../grant/grants.ts'
import { correlationId } from '../grant/indexes.ts'
import { deriveTransactionSecrets } from '../grant/transaction-secrets.ts'
import { authorize, end } from '../grant/transitions.ts'
import { settleLanguage } from '../http/pages/language.ts'
import { rawQuery } from '../http/query.ts'
import { pageRoute, rawForm } from '../http/route.ts'
import { callbackSchema } from '../http/schemas.ts'
import { type AuthorizationResponse, issuerMatches, parseAuthorizationResponse } from '../oauth/callback.ts'
import { isUnregistered, type RegisteredClient, type UnregisteredClient } from '../oauth/client.ts'
import { OAuthError, type Reason } from '../oauth/errors.ts'
import { redirectUriMatches } from '../oauth/redirect-uri.ts'
import type { NamedProvider } from '../options/resolved.ts'
import type { Provider } from '../provider/provider.ts'
import { authorizationRefusalWords } from '../provider/refusals/words.ts'
import { type Handle, hashCredential, issueHandle, parseHandle, sameHash } from '../secrets/handles.ts'
import { sendAuthorizationResponse } from './authorize/authorization-response.ts'
import { boundTransactions, isSameBrowser, unbindBrowser } from './authorize/browser-binding.ts'
import { isAllowed, providerLabel } from './authorize/provider-choice.ts'
import type { Services } from './services.ts'

/**
 * `GET /oauth2/callback`, or POST where `provider.responseMode` is `form_post` (B-01), and with a name behind it where
 * there are several providers (M-04): the provider's authorization response becomes our one-time code (RFC 6749 §4.1.2). One swap: to
 * `authorized` if everything holds, otherwise to `ended`. What is malformed touches nothing, and neither does
 * whoever comes second.
 */
export function callbackRoute(scope: FastifyInstance, services: Services, configured: NamedProvider): void {
  const { name, callbackPath, options } = configured
  const { responseMode } = options
  const isForm = responseMode === 'form_post'
  const provider = services.providers.of({ provider: options.issuer })
  const endpoint = {
    url: callbackPath,
    schema: callbackSchema(responseMode, name),
    handler: async (request: FastifyRequest, reply: FastifyReply) => {
      const response = parseAuthorizationResponse(isForm ? rawForm(request) : rawQuery(request), responseMode)
      const { cookie } = request.headers
      const transaction =
        response.state === undefined
          ? await findTransactionOfBrowser(services, provider, response, cookie)
          : await findTransaction(services, response.state)
      const { stored } = transaction
      settleLanguage(request, stored.grant.locale)
      const judge = async () => {
        const judged = judgeResponse(services, { ...transaction, provider, response }, cookie)
        if (!(await services.grants.replace(stored, judged.next))) throw new OAuthError('state_used')
        return judged
      }
      const { loginTracing } = services.observer
      const outcome = await (loginTracing
        ? loginTracing.step(stored.grant.trace, 'callback', judge)
        : judge())
      services.transactions.finish(stored.grant.id)
      // Not before the swap: whoever is told to try again still needs the cookie.
      reply.header(
        'set-cookie',
        unbindBrowser({ publicUrl: services.options.publicUrl, responseMode }, stored.grant.id),
      )
      if ('detail' in outcome) logRefusal(request, provider, stored.grant, outcome.detail)
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
  { grants, options }: Services,
  provider: Provider,
  response: AuthorizationResponse,
  cookieHeader: string | undefined,
): Promise<Transaction> {
  const [id, ...others] = boundTransactions(options, cookieHeader)
  const stored = id === undefined || others.length > 0 ? null : await grants.read(id)
  if (
    stored?.grant.status !== 'authorizing' ||
    stored.grant.provider !== provider.issuer ||
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

/** A response that has come to the callback of `provider`, and the transaction whose state it has. */
interface Received extends Transaction {
  readonly provider: Provider
  readonly response: AuthorizationResponse
}

/**
 * Browser, provider, client, the provider's word, in this order (B-04, B-05, B-14). The state of a login at another
 * provider is a mix-up, as another `iss` is (RFC 9700 §4.4).
 */
function judgeResponse(
  services: Services,
  { provider, response, ...transaction }: Received,
  cookieHeader: string | undefined,
): Outcome {
  const { grant } = transaction.stored
  const next = end(grant, 'authorization_failed', services.grants.now())
  if (!isSameBrowser(services.options, grant, cookieHeader)) {
    return { next, refused: 'browser_mismatch', event: 'callback.browser_mismatch' }
  }
  if (grant.provider !== provider.issuer || !issuerMatches(response, provider)) {
    return { next, refused: 'issuer_mismatch', event: 'callback.iss_mismatch' }
  }
  const client = services.clients.named(grant.clientId)
  const isClient = client?.enabled && isAllowed(client, provider.name)
  if (!isClient || !isStillRegistered(client, grant)) {
    return { next, refused: 'client_gone', event: 'callback.refused' }
  }
  if (response.error !== undefined) return { next, client, error: response.error, detail: response.detail }

  const issued = issueCode(services, provider, transaction, response)
  return issued ? { ...issued, client } : { next, refused: 'transaction_sealed', event: 'callback.refused' }
}

/** An app that nobody registered has been held to its own word when the login began; the grant has what it said. */
function isStillRegistered(client: RegisteredClient, { redirectUri }: AuthorizingGrant): boolean {
  return isUnregistered(client) || client.redirectUris.some((uri) => redirectUriMatches(uri, redirectUri))
}

/** What the provider has sent for the token exchange. */
type ProviderCode = Pick<Extract<AuthorizationResponse, { code: string }>, 'code' | 'user'>

/** Our code, and the provider's under a seal that it opens, from which it never leaves (B-09). Null: a server secret is gone. */
function issueCode(
  { options, grants, seals }: Services,
  provider: Provider,
  { state, stored: { grant } }: Transaction,
  { code: providerCode, user }: ProviderCode,
): { next: Grant; code: string } | null {
  const secrets = state && deriveTransactionSecrets(seals, provider.options, grant, state.secret)
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

/** A user who declines is nothing to see to; a mistake of ours is, and stops every login. */
function logRefusal(
  { log }: FastifyRequest,
  provider: Provider,
  { id }: AuthorizingGrant,
  detail: string,
): void {
  const advice = provider.adviceOn(authorizationRefusalWords(detail))
  const fields = { grant: correlationId(id), providerError: detail }
  if (advice) log.warn(fields, `the provider refused: ${advice}`)
  else log.info(fields, 'the provider refused')
}

/** What an app that nobody registered is called, only its login has kept. */
function withItsName(client: RegisteredClient, { clientName }: AuthorizingGrant): RegisteredClient {
  if (!isUnregistered(client) || clientName === undefined) return client
  const named: UnregisteredClient = { ...client, label: clientName }
  return named
}

function sendOutcome(
  services: Services,
  grant: AuthorizingGrant,
  outcome: Outcome,
  reply: FastifyReply,
): FastifyReply {
  const { audit, observer, options, providers } = services
  const { request } = reply
  const { redirectUri, state } = grant
  const iss = options.publicUrl
  const seen = 'code' in outcome ? 'ok' : 'refused' in outcome ? 'refused' : 'denied'
  observer.login('returned', seen, grant.clientId)
  if ('refused' in outcome) {
    audit.record(outcome.event, { request, grant, reason: outcome.refused })
    throw new OAuthError(outcome.refused)
  }
  const provider = providerLabel(providers.of(grant))
  const app = { client: withItsName(outcome.client, grant), redirectUri, outcome: { provider } }
  if ('code' in outcome) {
    return sendAuthorizationResponse(services, reply, app, { code: outcome.code, state, iss })
  }
  audit.record('callback.refused', { request, grant })
  return sendAuthorizationResponse(services, reply, app, { error: outcome.error, state, iss })
}
