import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { OAuthError, type Reason } from '../errors.ts'
import type { AuthorizingGrant, ExchangeSecrets, TransactionSecrets } from '../grant/grant.ts'
import type { StoredGrant } from '../grant/grants.ts'
import { openFor, sealFor } from '../grant/seals.ts'
import { authorize } from '../grant/transitions.ts'
import { type Handle, hashCredential, issueHandle, parseHandle, sameHash } from '../handles.ts'
import { type AuthorizationResponse, issuerMatches, parseAuthorizationResponse } from '../oauth/callback.ts'
import { redirectUriMatches } from '../oauth/redirect-uri.ts'
import type { RegisteredClient } from '../options/resolved.ts'
import type { Rooms } from '../rooms.ts'
import { answerApp } from './answer-app.ts'
import { isSameBrowser, unbindBrowser } from './browser-binding.ts'
import { pageRoute } from './methods.ts'
import { rawQuery } from './query.ts'
import { callbackSchema } from './schemas.ts'

/**
 * `GET /oauth2/callback`: the provider's answer becomes our one-time code (RFC 6749 §4.1.2). One swap: to
 * `authorized` if everything holds, otherwise to `ended`. What is malformed touches nothing.
 */
export function callbackRoute(scope: FastifyInstance, rooms: Rooms): void {
  pageRoute(scope, {
    url: '/callback',
    schema: callbackSchema,
    handler: async (request, reply) => {
      const response = parseAuthorizationResponse(rawQuery(request))
      const { handle, stored } = await findTransaction(rooms, response.state)
      reply.header('set-cookie', unbindBrowser(rooms.options, stored.grant.id))
      const client = await checkBindings(rooms, stored, response, request)
      if (response.error !== undefined)
        return answerProviderError(rooms, stored, client, response, request, reply)

      const code = await issueCode(rooms, stored, handle, response.code)
      rooms.transactions.finish(stored.grant.id)
      const { redirectUri, state } = stored.grant
      return answerApp(reply, { client, redirectUri }, { code, state, iss: rooms.options.publicUrl })
    },
  })
}

async function findTransaction(
  { grants }: Rooms,
  state: string,
): Promise<{ handle: Handle; stored: StoredGrant<AuthorizingGrant> }> {
  const handle = parseHandle('state', state)
  const stored = handle && (await grants.read(handle.selector))
  if (!stored) throw new OAuthError('state_unknown')
  if (stored.grant.status !== 'authorizing') throw new OAuthError('state_used')
  if (!sameHash(stored.grant.stateHash, hashCredential(handle.value))) throw new OAuthError('state_unknown')
  return { handle, stored: stored as StoredGrant<AuthorizingGrant> }
}

/** Browser, issuer and client, in this order; the first that fails ends the transaction (B-04, B-05, B-14). */
async function checkBindings(
  rooms: Rooms,
  stored: StoredGrant<AuthorizingGrant>,
  response: AuthorizationResponse,
  request: FastifyRequest,
): Promise<RegisteredClient> {
  const { grant } = stored
  if (!isSameBrowser(rooms.options, grant, request.headers.cookie)) {
    return refuse(rooms, stored, request, 'callback.browser_mismatch', 'browser_mismatch')
  }
  if (grant.provider !== rooms.provider.issuer || !issuerMatches(response, rooms.provider)) {
    return refuse(rooms, stored, request, 'callback.iss_mismatch', 'issuer_mismatch')
  }
  const client = rooms.options.clients.get(grant.clientId)
  if (!client?.enabled || !client.redirectUris.some((uri) => redirectUriMatches(uri, grant.redirectUri))) {
    return refuse(rooms, stored, request, 'callback.refused', 'client_gone')
  }
  return client
}

async function refuse(
  rooms: Rooms,
  stored: StoredGrant<AuthorizingGrant>,
  request: FastifyRequest,
  event: 'callback.browser_mismatch' | 'callback.iss_mismatch' | 'callback.refused',
  reason: Reason,
): Promise<never> {
  await rooms.grants.end(stored, 'authorization_failed')
  rooms.transactions.finish(stored.grant.id)
  rooms.audit.record(event, { request, grantId: stored.grant.id, clientId: stored.grant.clientId, reason })
  throw new OAuthError(reason)
}

async function answerProviderError(
  rooms: Rooms,
  stored: StoredGrant<AuthorizingGrant>,
  client: RegisteredClient,
  response: AuthorizationResponse & { error: string },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { id, redirectUri, state } = stored.grant
  if (!(await rooms.grants.end(stored, 'authorization_failed'))) throw new OAuthError('state_used')
  rooms.transactions.finish(id)
  request.log.info({ grant: id, providerError: response.detail }, 'the provider refused the authorization')
  rooms.audit.record('callback.refused', { request, grantId: id, clientId: client.clientId })
  return answerApp(
    reply,
    { client, redirectUri },
    { error: response.error, state, iss: rooms.options.publicUrl },
  )
}

/** The one swap of a good callback. The provider's code goes under the seal of ours and never leaves (B-09). */
async function issueCode(
  { options, grants, sealing }: Rooms,
  stored: StoredGrant<AuthorizingGrant>,
  state: Handle,
  providerCode: string,
): Promise<string> {
  const { grant } = stored
  const transaction = openFor<TransactionSecrets>(sealing, grant, 'state', state.secret, grant)
  if (!transaction) throw new OAuthError('transaction_sealed')

  const code = issueHandle('code', grant.id)
  const secrets: ExchangeSecrets = { ...transaction, code: providerCode }
  const next = authorize(grant, {
    codeHash: hashCredential(code.value),
    codeExpiresAt: grants.now() + options.lifetimes.codeSeconds * 1000,
    ...sealFor(sealing, grant, 'code', code.secret, secrets),
  })
  if (!(await grants.replace(stored, next))) throw new OAuthError('state_used')
  return code.value
}
