import { createDispatcher } from '../../provider/transport/network.ts'
import { type ProviderResponse, responseField, sendRequest } from '../../provider/transport/request.ts'

/** What came from the address of a description, whatever it is. */
export interface FetchedDocument {
  readonly status: number
  readonly contentType: string
  readonly text: string
  /** How long its owner lets it be kept. Undefined: not told. */
  readonly maxAgeSeconds: number | undefined
}

/** @throws Error for what did not come in time, whole, or at all. */
export type FetchDocument = (url: URL) => Promise<FetchedDocument>

/** What decides about the connections. */
export interface DocumentNetwork {
  readonly dangerouslyAllowPrivateNetwork: boolean
  /** Milliseconds for all of it: name, connection, answer. */
  readonly totalMs?: number
  /** Stands in for `dns.lookup`. */
  readonly resolve?: Parameters<typeof createDispatcher>[1]
  /** PEM. In place of the public authorities. */
  readonly ca?: string
}

const TOTAL_MS = 5000
/** Nobody's: no description is on a loopback address because of it. */
const NO_ISSUER = 'https://nobody.invalid'

/**
 * Fetches descriptions of apps from the public internet alone: the guard of the provider's connections, with the address
 * checked when it is connected to (F-03), no redirect, 64 KiB, five seconds. Nothing is kept between two fetches: who
 * names an address, names any.
 */
export function createDocumentFetch(network: DocumentNetwork): FetchDocument {
  const totalMs = network.totalMs ?? TOTAL_MS
  const timeouts = { connectMs: totalMs, headersMs: totalMs, bodyMs: totalMs, totalMs }
  const { dangerouslyAllowPrivateNetwork, ca, resolve } = network
  return async (url) => {
    const dispatcher = createDispatcher(
      {
        issuer: NO_ISSUER,
        timeouts,
        dangerouslyAllowPrivateNetwork,
        ...(ca !== undefined && { ca }),
      } as never,
      resolve,
    )
    try {
      const response = await sendRequest('client_document', dispatcher, timeouts, { url, headers: {} })
      const { status, contentType, text } = response
      return { status, contentType, text, maxAgeSeconds: maxAgeOf(response) }
    } finally {
      void dispatcher.destroy().catch(() => {})
    }
  }
}

/** Seconds for which an answer is fresh (RFC 9111 §4.2.1): 0 where it may not be kept. */
export function maxAgeOf(response: Pick<ProviderResponse, 'fields'>): number | undefined {
  const control = responseField(response, 'cache-control')?.toLowerCase() ?? ''
  if (/(?:^|[\s,])(?:no-store|no-cache)(?:$|[\s,=])/.test(control)) return 0
  const age = Number(responseField(response, 'age') ?? 0)
  const given = /(?:^|[\s,])max-age="?([0-9]{1,10})/.exec(control)?.[1]
  if (given !== undefined) return Math.max(0, Number(given) - (age > 0 ? age : 0))
  const expires = responseField(response, 'expires')
  if (expires === undefined) return undefined
  const from = Date.parse(responseField(response, 'date') ?? '') || Date.now()
  return Math.max(0, (Date.parse(expires) || 0) - from) / 1000
}
