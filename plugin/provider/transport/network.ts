import dns from 'node:dns'
import net from 'node:net'
import type { buildConnector as Connectors, Dispatcher, Agent as UndiciAgent } from 'undici'
import { addressRule } from '../../options/provider/addresses.ts'
import type { ResolvedProvider } from '../../options/resolved.ts'
import { createTlsMaterial, type TlsMaterial, type TlsOptions } from './tls.ts'
import { Agent, buildConnector, Pool } from './undici.ts'

/** What the provider client needs of undici. */
export type ProviderDispatcher = Pick<Dispatcher, 'dispatch'>

/** @see createConnectError */
export interface ConnectError extends Error {
  readonly code: typeof CONNECT_CODE
  readonly detail: string
}

// undici treats some codes of its own and of TLS specially: this is not one of them.
const CONNECT_CODE = 'PKCE_CONNECT'

/**
 * The error for a connection that did not come about, so that no byte of a request was sent.
 *
 * @param detail a code such as `ECONNREFUSED`, or `ADDRESS_REFUSED` when the address is one that we do not connect to.
 */
export function createConnectError(detail: string): ConnectError {
  return Object.assign(new Error(`no connection: ${detail}`), { code: CONNECT_CODE, detail } as const)
}

/** True for what `createConnectError` has made. */
export function isConnectError(error: unknown): error is ConnectError {
  return error instanceof Error && 'code' in error && error.code === CONNECT_CODE
}

type Resolve = (
  hostname: string,
  options: dns.LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: dns.LookupAddress[]) => void,
) => void
type Network = Pick<ResolvedProvider, 'issuer' | 'timeouts' | 'dangerouslyAllowPrivateNetwork'> & TlsOptions

/**
 * The connections to the provider and nothing else: no interceptors (so no redirects, retries, caches, cookies
 * or decompression), no pipelining, no HTTP/2, no proxy from the environment, certificates always verified. They
 * trust the authorities of `ca` alone, where there is one, and show our own certificate to whom asks for it.
 *
 * @param resolve stands in for `dns.lookup`.
 */
export function createDispatcher(provider: Network, resolve: Resolve = dns.lookup): UndiciAgent {
  const tls = createTlsMaterial(provider)
  return new Agent({
    factory: (origin) =>
      new Pool(origin, {
        connections: 64,
        pipelining: 1,
        allowH2: false,
        maxHeaderSize: 16_384,
        connect: checkedConnector(provider, new URL(origin).origin, { resolve, tls }),
      }),
  })
}

/** Connects to permitted addresses of one origin only; whatever fails here is a `ConnectError`. */
function checkedConnector(
  provider: Network,
  origin: string,
  { resolve, tls }: { resolve: Resolve; tls: () => Promise<TlsMaterial> },
): Connectors.connector {
  const permitted = addressRule(provider, origin)
  const connectorOf = (material: TlsMaterial) =>
    buildConnector({
      ...material,
      timeout: provider.timeouts.connectMs,
      allowH2: false,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      // The address that was checked is the one that is connected to: a second answer of the name server
      // (DNS rebinding) has no chance.
      lookup: (hostname, options, callback) => {
        resolve(hostname, { ...options, all: true }, (error, addresses) => {
          const usable = error ? [] : addresses.filter(({ address }) => permitted(address))
          const first = usable[0]
          if (first === undefined) callback(error ?? createConnectError('ADDRESS_REFUSED'), [])
          else if (options.all) callback(null, usable)
          else callback(null, first.address, first.family)
        })
      },
    })
  let last: { material: TlsMaterial; connect: Connectors.connector } | undefined
  return (options, callback) => {
    // A literal address is never looked up, so it is checked here.
    if (net.isIP(options.hostname) !== 0 && !permitted(options.hostname)) {
      process.nextTick(callback, createConnectError('ADDRESS_REFUSED'), null)
      return
    }
    const connectBy = (material: TlsMaterial) => {
      // A connector remembers TLS sessions, and such a one would go on as who we were.
      if (last?.material !== material) last = { material, connect: connectorOf(material) }
      last.connect(options, (error, socket) => {
        if (error) callback(isConnectError(error) ? error : createConnectError(errorCode(error)), null)
        else callback(null, socket)
      })
    }
    tls()
      .then(connectBy)
      .catch((error: unknown) => callback(createConnectError(`TLS files: ${errorCode(error)}`), null))
  }
}

/** The code of an error, else its name: what may be logged of it. Messages can hold addresses and bodies. */
export function errorCode(error: unknown): string {
  if (isConnectError(error)) return error.detail
  if (!(error instanceof Error)) return typeof error
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
