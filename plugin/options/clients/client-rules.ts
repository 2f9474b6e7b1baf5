import { isScopeToken } from '../../oauth/access/scope.ts'
import { passThroughNames } from '../../oauth/authorization.ts'
import type { RegisteredClient } from '../../oauth/client.ts'
import { isLocalhostRedirectUri, redirectUriKind, redirectUriProblem } from '../../oauth/redirect-uri.ts'
import type { ConfigProblem } from '../config-error.ts'
import { suggestion } from '../problems/nearest.ts'
import { isOrigin } from '../rules.ts'

const ORIGIN =
  /^(https:\/\/[a-z0-9.-]+(:[1-9][0-9]{0,4})?|http:\/\/(127\.0\.0\.1|\[::1\]|localhost):[1-9][0-9]{0,4})$/
/** What `allowedOrigins` must be. */
export const ORIGIN_PROBLEM =
  'must be an https origin in lower case without path or default port, or http with a loopback host and port'

/** True for an origin of pages, as browsers write it. */
export function isBrowserOrigin(origin: string): boolean {
  return ORIGIN.test(origin) && isOrigin(origin)
}

/**
 * What is wrong with the registered apps, each taken alone and all together.
 *
 * @param clients by their place in the list. @param providerNames empty: there is one, without a name.
 * @param tokens relay: access tokens are the provider's, and work elsewhere without any proof.
 */
export function clientProblems(
  clients: ReadonlyMap<number, RegisteredClient>,
  providerNames: readonly string[],
  tokens: 'opaque' | 'relay',
): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const seen = new Map<string, number>()
  for (const [index, client] of clients) {
    const report = (problem: string, ...path: (string | number)[]) =>
      problems.push({ ...at(index, ...path), problem })
    const first = seen.get(client.clientId)
    if (first === undefined) seen.set(client.clientId, index)
    else {
      const problem = 'is the clientId of another client too'
      problems.push({ ...at(index, 'clientId'), problem, other: at(first, 'clientId').path })
    }

    if (client.authentication === 'none' && client.clientSecret !== undefined) {
      report('must be absent: authentication is none', 'clientSecret')
    }
    if (client.authentication !== 'none' && client.clientSecret === undefined) {
      report(`is required: authentication is ${client.authentication}`, 'clientSecret')
    }
    if (client.dpop !== 'off' && tokens === 'relay') {
      report(
        "must be off: tokens is relay, and the provider's tokens work at its own APIs without a proof",
        'dpop',
      )
    }
    for (const [place, uri] of client.redirectUris.entries()) {
      const problem = redirectUriProblem(uri)
      if (problem) report(problem, 'redirectUris', place)
    }
    for (const [place, scope] of client.scopes.entries()) {
      if (!isScopeToken(scope)) report('is not a scope token (RFC 6749 §3.3)', 'scopes', place)
    }
    for (const [place, scope] of client.providerScopes.entries()) {
      if (!client.scopes.includes(scope)) report('must be one of scopes too', 'providerScopes', place)
    }
    for (const [place, name] of client.providers.entries()) {
      if (providerNames.includes(name)) continue
      const known = `is not one of providers${suggestion(name, providerNames)}`
      report(providerNames.length === 0 ? 'is for providers; here is but one' : known, 'providers', place)
    }
    for (const [place, name] of client.passThrough.entries()) {
      if (!passThroughNames.includes(name))
        report(`must be one of ${passThroughNames.join(', ')}`, 'passThrough', place)
    }
    for (const [place, origin] of client.allowedOrigins.entries()) {
      if (!isBrowserOrigin(origin)) report(ORIGIN_PROBLEM, 'allowedOrigins', place)
    }
  }
  return problems
}

function at(index: number, ...path: (string | number)[]): Pick<ConfigProblem, 'path'> {
  return { path: ['clients', index, ...path] }
}

/** What an operator should hear of the registered apps at start. */
export function clientWarnings(clients: readonly RegisteredClient[]): string[] {
  const warnings: string[] = []
  for (const { clientId, interaction, redirectUris } of clients) {
    if (interaction === 'none' && redirectUris.some((uri) => redirectUriKind(uri) !== 'https')) {
      warnings.push(
        `client ${clientId}: interaction is none with a private-use or loopback redirect URI, so any app on the device can finish a remembered login unseen (RFC 8252 §8.6)`,
      )
    }
    if (redirectUris.some(isLocalhostRedirectUri)) {
      warnings.push(
        `client ${clientId}: a redirect URI is on localhost, a name that may be resolved to another interface; 127.0.0.1 or [::1] is recommended (RFC 8252 §8.3)`,
      )
    }
  }
  return warnings
}
