import { formatForm } from '../oauth/form.ts'
import type { ResolvedProvider } from '../options/resolved.ts'
import type { ProviderAuthorizationRequest } from './provider.ts'

/**
 * The parameters of our authorization requests, each exactly once (A-14). What we set comes first and cannot be
 * replaced: not by `provider.authorizationParams`, and least of all by the app's pass-through.
 */
export function createAuthorizationParameters(
  provider: ResolvedProvider,
  callbackUrl: string,
): (request: ProviderAuthorizationRequest) => Record<string, string> {
  const { clientId, authorizationParams, responseMode } = provider
  const scope = joined(provider.scope.split(' '))
  return (request) => {
    const parameters: Record<string, string> = {}
    const add = (values: Readonly<Record<string, string | undefined>>) => {
      for (const name in values) {
        const value = values[name]
        if (value !== undefined && value !== '') parameters[name] ??= value
      }
    }
    add({
      response_type: 'code',
      response_mode: responseMode === 'query' ? undefined : responseMode,
      client_id: clientId,
      redirect_uri: callbackUrl,
      scope: request.extraScope.length === 0 ? scope : joined([...scope.split(' '), ...request.extraScope]),
      state: request.state,
      nonce: request.nonce,
      code_challenge: request.codeChallenge,
      code_challenge_method: request.codeChallenge && 'S256',
    })
    add(authorizationParams)
    if (request.prompt) add({ prompt: 'consent' })
    add(request.passThrough)
    return parameters
  }
}

/** Each scope once. */
function joined(scope: readonly string[]): string {
  return [...new Set(scope.filter((value) => value !== ''))].join(' ')
}

/** `endpoint` with `parameters`; a query that the endpoint brings along is kept (RFC 6749 §3.1). */
export function authorizationUrl(endpoint: URL, parameters: Readonly<Record<string, string>>): string {
  const { origin, pathname, search } = endpoint
  const query = formatForm(parameters)
  if (search === '') return `${origin}${pathname}?${query}`
  const kept = [...endpoint.searchParams].filter(([name]) => !Object.hasOwn(parameters, name))
  return `${origin}${pathname}?${kept.length > 0 ? `${new URLSearchParams(kept)}&` : ''}${query}`
}
