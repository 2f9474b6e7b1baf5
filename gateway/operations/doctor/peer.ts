import { once } from 'node:events'
import { connect, type PeerCertificate } from 'node:tls'

/** A server's certificate, as it shows it to anybody. */
export interface Peer {
  /** In milliseconds since the epoch. */
  readonly endsAt: number
  /** The name of its issuer. */
  readonly issuer: string
}

const LOOK_MS = 4000

/**
 * Looks at the certificate of a server, whoever signed it. Nothing is sent to it, our own certificate neither, and nothing
 * is decided by what is seen: those who connect in earnest verify.
 *
 * @returns undefined where there is none to be seen.
 */
export async function lookAtPeer({ hostname, port }: URL, ca?: Buffer): Promise<Peer | undefined> {
  const host = hostname.replace(/[[\]]/g, '')
  const socket = connect({
    ...{ host, port: Number(port || 443), rejectUnauthorized: false },
    ...(ca !== undefined && { ca }),
    ...(!/^[\d.]+$|:/.test(host) && { servername: host }),
  })
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(LOOK_MS) })
    return peerOf(socket.getPeerCertificate())
  } catch {
    return undefined
  } finally {
    socket.on('error', () => {}).destroy()
  }
}

function peerOf({ valid_to, issuer }: PeerCertificate): Peer | undefined {
  const endsAt = Date.parse(valid_to)
  if (Number.isNaN(endsAt)) return undefined
  const name = [issuer?.CN ?? issuer?.O ?? ''].flat().join(' ')
  // Somebody else's words, for a terminal.
  return { endsAt, issuer: JSON.stringify(name.replace(/[^\x20-\x7e]/g, '?').slice(0, 80)) }
}
