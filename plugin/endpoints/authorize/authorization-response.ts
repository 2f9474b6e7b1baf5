import type { FastifyReply } from 'fastify'
import { failureOfProvider } from '../../http/pages/failures.ts'
import { failurePage, type Page, sendPage } from '../../http/pages/pages.ts'
import { type AuthorizationResponseParameters, authorizationResponse } from '../../oauth/authorization.ts'
import { isUnregistered, type RegisteredClient } from '../../oauth/client.ts'
import { OAuthError } from '../../oauth/errors.ts'
import { redirectUriKind } from '../../oauth/redirect-uri.ts'
import type { Services } from '../services.ts'

/** Who gets an authorization response, and what a page tells of it. */
export interface AnsweredApp {
  readonly client: RegisteredClient
  readonly redirectUri: string
  /** Default: `interactionOf`. */
  readonly interaction?: Interaction
  /** What people call the provider that has been asked; or what has been refused before one was. */
  readonly outcome: { readonly provider: string } | { readonly refusal: OAuthError }
}
export type Interaction = 'page' | 'none' | 'prompt'

/**
 * Sends an authorization response, success or error, to an app whose redirect URI has been proved: by a redirect,
 * or by the page whose link a human follows (requirements, B-11).
 */
export function sendAuthorizationResponse(
  { look }: Services,
  reply: FastifyReply,
  app: AnsweredApp,
  response: AuthorizationResponseParameters,
): FastifyReply {
  const url = authorizationResponse(app.redirectUri, response)
  const interaction = app.interaction ?? interactionOf(app)
  if (interaction === 'page') return sendPage(reply.code(200), look, pageOf(app, response, url))
  // A form that was posted here holds the provider's code: with 302 a browser may post it on (RFC 9700 §4.12).
  const status = reply.request.method === 'POST' ? 303 : 302
  return reply.code(status).header('location', url).send()
}

/** Failure looks like failure, although the way to the app is the same. */
function pageOf(
  { client, outcome }: AnsweredApp,
  response: AuthorizationResponseParameters,
  redirectTo: string,
): Page {
  const link = { app: client, redirectTo }
  if ('refusal' in outcome) return { ...failurePage(outcome.refusal), ...link }
  const { provider } = outcome
  if ('code' in response) return { page: 'continue', provider, ...link }
  return { page: 'failure', failure: failureOfProvider(response.error), provider, ...link }
}

/**
 * What a human sees between the provider and the app: by default a page wherever https does not claim the app. Who has
 * been asked for consent has seen where the answer goes; only a private-use scheme needs a gesture to open its app.
 */
export function interactionOf(app: { client: RegisteredClient; redirectUri: string }): Interaction {
  const kind = redirectUriKind(app.redirectUri)
  if (isUnregistered(app.client)) return kind === 'private-use' ? 'page' : 'none'
  return app.client.interaction ?? (kind === 'https' ? 'none' : 'page')
}

/**
 * Refusals go to the app once its redirect URI is proved; before that, and for outages of ours, they stay here. Nobody is
 * sent to an app that nobody registered without a click: else its address, whatever it is, would be behind a link of ours
 * (RFC 9700 §4.11.2).
 */
export function sendRefusal(
  services: Services,
  error: unknown,
  reply: FastifyReply,
  interaction?: 'none',
): FastifyReply {
  const { audit, observer, options } = services
  if (!(error instanceof OAuthError)) throw error
  const { request } = reply
  const { reason, redirectTo } = error
  const outcome = reason === 'consent_denied' ? 'denied' : error.statusCode < 500 ? 'refused' : 'failed'
  observer.login('begun', outcome, redirectTo?.client.clientId)
  audit.record('authorize.refused', { request, reason, clientId: redirectTo?.client.clientId })
  if (!redirectTo) throw error
  const isAsked = isUnregistered(redirectTo.client) && interaction !== 'none'
  const response = {
    ...{ error: error.error, error_description: error.message },
    ...{ state: redirectTo.state, iss: options.publicUrl },
  }
  const app = { ...redirectTo, outcome: { refusal: error }, ...(isAsked && { interaction: 'page' as const }) }
  return sendAuthorizationResponse(services, reply, app, response)
}
