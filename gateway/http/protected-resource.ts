const WELL_KNOWN = '/.well-known/oauth-protected-resource'

/** What the metadata tells of a protected resource: an upstream, or the gateway as a whole. */
interface ProtectedResource {
  /** Our origin. */
  readonly publicUrl: string
  /** Without a trailing slash: `''` for the root. */
  readonly prefix: string
  /** What every request needs. */
  readonly scopes: readonly string[]
}

/** Where the metadata of a resource is: the well-known address with the path behind it (RFC 9728 §3.1). */
export function resourceMetadataPath(prefix: string): string {
  return WELL_KNOWN + prefix
}

/**
 * By which a client that knows the address of an API alone finds where to log in for it.
 *
 * Source: RFC 9728 §2; requirements N-01.
 */
export function resourceMetadata({ publicUrl, prefix, scopes }: ProtectedResource) {
  return {
    resource: publicUrl + prefix,
    authorization_servers: [publicUrl],
    ...(scopes.length > 0 && { scopes_supported: [...scopes] }),
    bearer_methods_supported: ['header'],
  }
}

/**
 * Challenges, each of which also says where the metadata is, and, to who has no token yet, which scopes to ask for.
 *
 * Source: RFC 9728 §5.1; RFC 6750 §3.
 * @param challenges those of `WWW-Authenticate` so far. @param status of the response.
 * @returns the value of the header.
 */
export function withResourceMetadata(
  challenges: readonly string[],
  status: number,
  { publicUrl, prefix, scopes }: ProtectedResource,
): string {
  const scope = status === 401 && scopes.length > 0 ? `, scope="${scopes.join(' ')}"` : ''
  const metadata = `${scope}, resource_metadata="${publicUrl}${resourceMetadataPath(prefix)}"`
  return challenges.map((challenge) => challenge + metadata).join(', ')
}
