import { isScopeToken } from '../../oauth/access/scope.ts'
import type { AgentRules } from '../../oauth/client.ts'
import type { ConfigProblem } from '../config-error.ts'
import { suggestion } from '../problems/nearest.ts'
import { isBrowserOrigin, ORIGIN_PROBLEM } from './client-rules.ts'

/** What a scope means to a person. */
export interface ScopeDescription {
  readonly name: string
  readonly description: string
}

const HOST =
  /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::[1-9][0-9]{0,4})?$/

/** What is wrong with the words for scopes. */
export function scopeProblems(scopes: readonly ScopeDescription[]): ConfigProblem[] {
  const seen = new Set<string>()
  return scopes.flatMap(({ name }, place) => {
    const problem = !isScopeToken(name)
      ? 'is not a scope token (RFC 6749 §3.3)'
      : seen.has(name) && 'is described twice'
    seen.add(name)
    return problem ? [{ path: ['scopes', place, 'name'], problem }] : []
  })
}

/** What is wrong with the rules for apps that nobody registered. */
export function agentProblems(
  agents: AgentRules,
  scopes: readonly ScopeDescription[],
  clients: readonly unknown[],
): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const report = (problem: string, ...path: (string | number)[]) =>
    problems.push({ path: ['agents', ...path], problem })
  const described = scopes.map(({ name }) => name)
  for (const [place, scope] of agents.scopes.entries()) {
    if (described.includes(scope)) continue
    const hint = suggestion(scope, described)
    report(
      `must be described in scopes, for the person who is asked: { name, description }${hint}`,
      'scopes',
      place,
    )
  }
  for (const [place, host] of agents.allowedHosts.entries()) {
    if (!HOST.test(host) || new URL(`https://${host}/`).host !== host) {
      report(
        'must be a host as in a URL, in lower case, without a path: app.example.com',
        'allowedHosts',
        place,
      )
    }
  }
  for (const [place, origin] of agents.allowedOrigins.entries()) {
    if (!isBrowserOrigin(origin)) report(ORIGIN_PROBLEM, 'allowedOrigins', place)
  }
  const { registration } = agents
  for (const key of ['unusedSeconds', 'idleSeconds'] as const) {
    if (registration && registration[key] < 60) report('must be at least 60', 'registration', key)
  }
  const isOn = agents.metadataDocuments || registration !== false
  if (clients.length === 0 && !isOn) {
    problems.push({ path: ['clients'], problem: 'must not be empty' })
  }
  return problems
}

/** What an operator should hear of them at start. */
export function agentWarnings({ metadataDocuments, dangerouslyAllowPrivateNetwork }: AgentRules): string[] {
  return metadataDocuments && dangerouslyAllowPrivateNetwork
    ? [
        'agents.dangerouslyAllowPrivateNetwork: whoever can begin a login can have this machine ask any https address in its own network',
      ]
    : []
}
