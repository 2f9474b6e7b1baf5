import type { ResolvedProvider } from '../../options/resolved.ts'
import { askSecret } from '../authentication/secret-source.ts'

/** Whom we trust in TLS, and who we are there (RFC 8705 §2); PEM. */
export interface TlsMaterial {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export type TlsOptions = Pick<ResolvedProvider, 'ca' | 'clientCert' | 'clientKey'>

/**
 * The TLS material of the provider's connections, asked for at each new one, so that a certificate that was renewed
 * needs no restart.
 *
 * @returns a function that gives the same object again while nothing has changed; it rejects where a source fails.
 */
export function createTlsMaterial(options: TlsOptions): () => Promise<TlsMaterial> {
  const sources = Object.entries({ ca: options.ca, cert: options.clientCert, key: options.clientKey })
  let last: TlsMaterial = {}
  return async () => {
    const found: Record<string, string> = {}
    for (const [name, source] of sources) if (source !== undefined) found[name] = await askSecret(source)
    const isSame = sources.every(([name]) => found[name] === last[name as keyof TlsMaterial])
    if (!isSame) last = found
    return last
  }
}
