import type { FastifyReply } from 'fastify'
import { sendContinuePage } from '../../http/page.ts'
import { type AuthorizationResponseParameters, authorizationResponse } from '../../oauth/authorization.ts'
import type { RegisteredClient } from '../../oauth/client.ts'
import { redirectUriKind } from '../../oauth/redirect-uri.ts'

/**
 * Sends an authorization response, success or error, to an app whose redirect URI has been proved: by a redirect,
 * or by the page whose link a human follows (requirements, B-11).
 */
export function sendAuthorizationResponse(
  reply: FastifyReply,
  app: { client: RegisteredClient; redirectUri: string },
  response: AuthorizationResponseParameters,
): FastifyReply {
  const url = authorizationResponse(app.redirectUri, response)
  if (interactionOf(app) === 'page') return sendContinuePage(reply, app.client.name, url)
  // A form that was posted here holds the provider's code: with 302 a browser may post it on (RFC 9700 §4.12).
  const status = reply.request.method === 'POST' ? 303 : 302
  return reply.code(status).header('location', url).send()
}

/** What a human sees between the provider and the app: by default a page wherever https does not claim the app. */
export function interactionOf(app: {
  client: RegisteredClient
  redirectUri: string
}): 'page' | 'none' | 'prompt' {
  return app.client.interaction ?? (redirectUriKind(app.redirectUri) === 'https' ? 'none' : 'page')
}
