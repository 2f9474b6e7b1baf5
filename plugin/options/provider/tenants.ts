import type { ResolvedProvider } from '../resolved.ts'

/** What stands for a tenant in an issuer: Entra ID's metadata has it, where one address serves all tenants. */
export const TENANT_PLACEHOLDER = '{tenantid}'
/** The segments of an issuer's address that stand for all tenants. */
const ALL_TENANTS = /\/(?:common|organizations)(?=\/|$)/
const TENANT = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

type Tenants = Pick<ResolvedProvider, 'issuer' | 'tenants'>

/** True for a tenant's id, a GUID. */
export function isTenant(text: string): boolean {
  return TENANT.test(text)
}

/** The `issuer` that metadata must name: the configured one, as a template where there are tenants. */
export function metadataIssuer({ issuer, tenants }: Tenants): string {
  return tenants === undefined ? issuer : issuer.replace(ALL_TENANTS, `/${TENANT_PLACEHOLDER}`)
}

/**
 * Why `iss` is not the provider's, or undefined. Simple string comparison (RFC 9207 §2.4); where there are tenants,
 * with the template in which one of them stands for the placeholder (F-14).
 *
 * @returns words of our own.
 */
export function issProblem(iss: unknown, provider: Tenants): string | undefined {
  const other = 'another issuer than provider.issuer, or none'
  if (provider.tenants === undefined) return iss === provider.issuer ? undefined : other
  const tenant = tenantOf(iss, provider)
  if (tenant === undefined) return other
  const isListed = provider.tenants.some((one) => one === '*' || one.toLowerCase() === tenant.toLowerCase())
  return isListed ? undefined : 'of a tenant that is not in provider.tenants'
}

/** The tenant that an issuer of the template names, or undefined. */
export function tenantOf(iss: unknown, provider: Tenants): string | undefined {
  const [before = '', after] = metadataIssuer(provider).split(TENANT_PLACEHOLDER)
  if (typeof iss !== 'string' || after === undefined) return undefined
  const tenant = iss.slice(before.length, iss.length - after.length)
  return before + tenant + after === iss && isTenant(tenant) ? tenant : undefined
}
