import { providersOf } from '../../plugin/api/internal.ts'
import type { GatewayConfig, Upstream } from '../config/schemas/config.ts'

/** What a person at a terminal wants to see once the gateway listens: the URLs, and who may call what. */
export function banner(config: GatewayConfig, address: string, adminAddress: string): string {
  const { publicUrl, routePrefix = '/oauth2' } = config.plugin
  const providers = providersOf(config.plugin)
  const callback = `${publicUrl}${routePrefix}/callback`
  const rows = [
    ['issuer', publicUrl],
    ['metadata', `${publicUrl}/.well-known/oauth-authorization-server`],
    ...providers.flatMap(([name, { issuer }]) => [
      [name === undefined ? 'provider' : `provider ${name}`, issuer ?? ''] as const,
      [
        'callback',
        `${callback}${name === undefined ? '' : `/${name}`} (register it at the provider)`,
      ] as const,
    ]),
    ['listening on', address],
    ['admin', `${adminAddress}/healthz, ${adminAddress}/readyz`],
    ...(config.workers > 1 ? [['workers', String(config.workers)] as const] : []),
  ] as const
  const routes = config.upstreams.map(
    (upstream) =>
      [
        upstream.prefix,
        `${upstream.target.length > 0 ? upstream.target : 'a proxy forwards'}  ${policyOf(upstream)}`,
      ] as const,
  )
  return `\n${table(rows)}\n\n${table(routes) || '  no upstreams'}\n\n`
}

function policyOf(upstream: Upstream): string {
  const methods = upstream.methods.join(' ')
  if (upstream.public) return `[public; ${methods}]`
  const scopes = upstream.scopes.length > 0 ? ` with ${upstream.scopes.join(' ')}` : ''
  return `[session${scopes}; ${methods}; Authorization: ${upstream.credentials}]`
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n')
}
