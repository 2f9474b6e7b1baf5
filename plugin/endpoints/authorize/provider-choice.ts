import type { FastifyReply } from 'fastify'
import { sendPage } from '../../http/pages/pages.ts'
import type { VerifiedAuthorizationRequest } from '../../oauth/authorization.ts'
import type { RegisteredClient } from '../../oauth/client.ts'
import { OAuthError } from '../../oauth/errors.ts'
import type { Provider } from '../../provider/provider.ts'
import type { Services } from '../services.ts'

/** The authorization request parameter that names a provider. */
export const PROVIDER_PARAMETER = 'identity_provider'

/**
 * The providers that the request may go to: the one that it names, or all of the client's. Where there is but one
 * provider without a name, the parameter means nothing (M-04).
 *
 * @returns at least one. @throws OAuthError `identity_provider_unknown`, for the app.
 */
export function providersOf(
  { providers }: Services,
  request: VerifiedAuthorizationRequest,
): readonly Provider[] {
  const { client, identityProvider } = request
  const allowed = providers.all.filter(({ name }) => isAllowed(client, name))
  const [only] = allowed
  if (identityProvider === undefined || only?.name === undefined) return allowed
  const named = allowed.filter(({ name }) => name === identityProvider)
  if (named.length === 0) throw new OAuthError('identity_provider_unknown', { redirectTo: request })
  return named
}

/** What a person calls the provider: its name, or its host. */
export function providerLabel({ name, options, issuer }: Provider): string {
  return options.name ?? name ?? new URL(issuer).host
}

/** True if users of the client may sign in at the provider with this name. */
export function isAllowed({ providers }: RegisteredClient, name: string | undefined): boolean {
  return name === undefined || providers.length === 0 || providers.includes(name)
}

/**
 * A page on which the person chooses: each link is the request once more, with the provider named. Nothing has begun yet.
 *
 * @param query of the request, without its question mark.
 */
export function sendChoice(
  { look, options }: Services,
  { client, query }: { readonly client: RegisteredClient; readonly query: string },
  candidates: readonly Provider[],
  reply: FastifyReply,
): FastifyReply {
  const request = new URLSearchParams(query)
  const choices = candidates.map((provider) => {
    request.set(PROVIDER_PARAMETER, provider.name!)
    return {
      provider: providerLabel(provider),
      url: `${options.routePrefix}/authorize?${request}`,
    }
  })
  return sendPage(reply.code(200), look, { page: 'choice', app: client, choices })
}
