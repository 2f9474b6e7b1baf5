import { randomInt } from 'node:crypto'
import type { Socket } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { HOST } from '../../../support/forwarder.ts'

/** Whom an attack is meant for. Plain data: it goes to another thread. */
export interface Target {
  readonly port: number
  /** PEM. */
  readonly ca: string
  /** A session of the attacker's own. */
  readonly token: string
  /** How long the attack lasts. */
  readonly seconds: number
}

/** What was done, and what came of it, in numbers. */
export type Tally = Record<string, number>

/** Attacks until `signal` aborts, and has closed everything when it resolves. */
export type Attack = (target: Target, signal: AbortSignal) => Promise<Tally>

export function count(tally: Tally, what: string): void {
  tally[what] = (tally[what] ?? 0) + 1
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** One of a million addresses, as a proxy tells it. */
export function someAddress(): string {
  return `10.${randomInt(16)}.${randomInt(256)}.${randomInt(1, 255)}`
}

/** A TLS connection for HTTP/1.1, unless told otherwise. */
export function connectTls({ port, ca }: Target, options: ConnectionOptions = {}): TLSSocket {
  return connect({ port, ca, host: '127.0.0.1', servername: HOST, ALPNProtocols: ['http/1.1'], ...options })
}

/**
 * Keeps so many connections open: one that the other side closes is replaced after a second.
 *
 * @param open makes one and begins with it.
 * @param beat is called for each of them once a second.
 */
export async function keepOpen<S extends Socket>(
  connections: number,
  signal: AbortSignal,
  { open, beat }: { open: () => S; beat?: (socket: S) => void },
): Promise<Tally> {
  const tally: Tally = { opened: 0, 'closed by the gateway': 0 }
  const sockets = new Set<S>()
  const add = () => {
    count(tally, 'opened')
    const socket = open()
    sockets.add(socket)
    socket
      .on('error', () => {})
      .on('close', () => {
        sockets.delete(socket)
        if (!signal.aborted) count(tally, 'closed by the gateway')
      })
    // What it says is not what this is about, but its end must be seen.
    socket.resume()
  }
  while (!signal.aborted) {
    if (beat) for (const socket of sockets) beat(socket)
    // Not all at once, so that they do not end all at once either.
    for (
      let missing = Math.min(connections - sockets.size, Math.ceil(connections / 4));
      missing > 0;
      missing--
    )
      add()
    await pause(1000)
  }
  for (const socket of sockets) socket.destroy()
  return tally
}
