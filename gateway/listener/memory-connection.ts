import { type Duplex, duplexPair } from 'node:stream'

/** What programs that watch a server's requests ask of a socket. */
const ADDRESS = { address: '127.0.0.1', family: 'IPv4', port: 0 }

/**
 * A connection in memory, for trials: both of its ends. The server's answers as a socket would to whoever watches the
 * requests of every server of the process (tracing, `diagnostics_channel`).
 */
export function memoryConnection(): { client: Duplex; connection: Duplex } {
  const [client, connection] = duplexPair()
  Object.assign(connection, {
    address: () => ADDRESS,
    remoteAddress: ADDRESS.address,
    remoteFamily: ADDRESS.family,
    remotePort: ADDRESS.port,
    localAddress: ADDRESS.address,
    localPort: ADDRESS.port,
  })
  return { client, connection }
}
