import Value from 'typebox/value'
import type { TrustFiles } from '../certificate.ts'
import type { Upstream, WebSocketOptions } from '../schemas/config.ts'
import { WebSocketSchema } from '../schemas/upstream.ts'
import type { UpstreamInput } from './upstream.ts'

/**
 * Fills the defaults that depend on other keys, and writes everything in its one form.
 *
 * @param files of `completeTrust`.
 */
export function completeUpstream(upstream: UpstreamInput, files: TrustFiles | undefined): Upstream {
  const methods = upstream.methods ?? (upstream.public ? ['GET'] : ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])
  return {
    ...upstream,
    ...files,
    host: upstream.host.toLowerCase(),
    target:
      typeof upstream.target === 'string' ? plainTarget(upstream.target) : upstream.target.map(plainTarget),
    // HEAD is GET without its body (RFC 9110 §9.3.2).
    methods: [
      ...new Set(methods.flatMap((method) => (method === 'GET' ? (['GET', 'HEAD'] as const) : method))),
    ],
    connectionsPerSession:
      upstream.connectionsPerSession ?? Math.max(1, Math.floor(upstream.connections / 4)),
    websocket: completeWebSocket(upstream.websocket),
    credentials: upstream.credentials ?? (upstream.public ? 'none' : 'provider-token'),
    identityHeaders: Object.fromEntries(
      Object.entries(upstream.identityHeaders).map(([name, claim]) => [name.toLowerCase(), claim]),
    ),
  }
}

function plainTarget(target: string): string {
  return target.replace(/^(https?:\/\/[^/]+)\/$/, '$1')
}

function completeWebSocket(websocket: boolean | WebSocketOptions): WebSocketOptions | false {
  return websocket === true ? (Value.Default(WebSocketSchema, {}) as WebSocketOptions) : websocket
}

/** What a provider is asked at every login. */
interface Asking {
  readonly authorizationParams?: Readonly<Record<string, string>>
}

/** What an operator should hear of upstreams that can be built but hardly be meant. */
export function upstreamWarnings(
  upstreams: readonly Upstream[],
  {
    clients,
    agents,
    provider,
    providers = {},
  }: {
    readonly clients: readonly {
      readonly scopes?: readonly string[]
      readonly claims?: readonly string[]
      readonly passThrough?: readonly string[]
    }[]
    readonly agents?: { readonly scopes?: readonly string[] } | undefined
    readonly provider?: Asking | undefined
    readonly providers?: Readonly<Record<string, Asking>> | undefined
  },
): string[] {
  const scopes = new Set([...clients, agents].flatMap((client) => client?.scopes ?? []))
  const claims = new Set(['sub', 'iss', ...clients.flatMap((client) => client.claims ?? [])])
  const isAmbiguous = (sent: readonly string[]) =>
    Object.keys(providers).length > 1 && sent.includes('sub') && !sent.includes('iss')
  const isAsked = (parameter: 'acr_values' | 'max_age') =>
    clients.some(({ passThrough = [] }) => passThrough.includes(parameter)) ||
    [provider, ...Object.values(providers)].some((one) => one?.authorizationParams?.[parameter] !== undefined)
  const cannotStepUp = (prefix: string, key: string, parameter: string) =>
    `upstream ${prefix}: ${key} is set, and no client has ${parameter} in its passThrough, so nobody can step up`
  return upstreams.flatMap(({ prefix, scopes: required, identityHeaders, acr, maxAgeSeconds }) => [
    ...(acr.length > 0 && !isAsked('acr_values') ? [cannotStepUp(prefix, 'acr', 'acr_values')] : []),
    ...(maxAgeSeconds !== undefined && !isAsked('max_age')
      ? [cannotStepUp(prefix, 'maxAgeSeconds', 'max_age')]
      : []),
    ...required
      .filter((scope) => !scopes.has(scope))
      .map(
        (scope) => `upstream ${prefix}: no client may have the scope ${scope}, so every request is refused`,
      ),
    ...Object.entries(identityHeaders)
      .filter(([, claim]) => !claims.has(claim))
      .map(
        ([name, claim]) => `upstream ${prefix}: no client has the claim ${claim}, so ${name} is never sent`,
      ),
    ...(isAmbiguous(Object.values(identityHeaders))
      ? [
          `upstream ${prefix}: identityHeaders has sub without iss, and there are several providers, so two people can have one name`,
        ]
      : []),
  ])
}
