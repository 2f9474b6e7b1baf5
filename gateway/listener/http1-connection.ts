import { type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { CoalescedResponse, type Connection, CURRENT } from './http1-response.ts'

/**
 * Notes that this response is the one of its connection, at once or as soon as it is.
 *
 * @returns false while the response to an earlier request is still on it (pipelining, RFC 9112 §9.3.2).
 */
export function claimConnection(response: ServerResponse): boolean {
  // A connection of HTTP/2 has many at a time.
  if (!(response instanceof ServerResponse)) return true
  const socket = response.socket as Connection | null
  if (socket === null) {
    response.once('socket', () => claimConnection(response))
    return false
  }
  socket[CURRENT] = response
  // The other class does so itself: an idle connection must not hold what its last request was made of.
  if (!(response instanceof CoalescedResponse)) response.once('close', () => forget(socket, response))
  return true
}

/**
 * The response that is being made on a connection that its caller may close, or null. If it has ended, it is written
 * first.
 */
export function responseOn(socket: Socket): ServerResponse | null {
  const response = (socket as Connection)[CURRENT]
  // Node takes the connection away from a response that is done.
  if (response?.socket !== socket) return null
  if (response instanceof CoalescedResponse) response.endNow()
  return response
}

function forget(socket: Connection, response: ServerResponse): void {
  if (socket[CURRENT] === response) socket[CURRENT] = undefined
}

/** Requests that may wait on one connection. Node itself bounds only what their answers would hold. */
const WAITING_MAX = 100

const waiting = new WeakMap<Socket, number>()

/**
 * Calls `run` when the connection is this response's own. A request that was sent behind another one (pipelined,
 * RFC 9112 §9.3.2) waits for that one's response: if that closes the connection, or the client leaves, the request
 * is never run, for nobody would be told of it.
 */
export function afterPrevious(socket: Socket, response: ServerResponse, run: () => void): void {
  const count = (waiting.get(socket) ?? 0) + 1
  if (count > WAITING_MAX) {
    socket.destroy()
    return
  }
  waiting.set(socket, count)
  response.once('socket', () => {
    waiting.set(socket, (waiting.get(socket) ?? 1) - 1)
    run()
  })
}

/** The connection closes when this response has been sent, and the client is told so in its header. */
export function closeAfter(response: ServerResponse): void {
  response.shouldKeepAlive = false
}

/** For a request that is on its way when the gateway stops: some round trips, and the handshake of TLS. */
export const LAST_CHANCE_MS = 500
/** How often connections that have become idle are looked for from then on. */
const IDLE_CHECK_MS = 50

/**
 * The connections of HTTP/1, and those of TLS before their handshake. When the gateway stops, each is closed as soon as
 * no request is under way on it. (Node's `closeIdleConnections` spares those that have sent nothing yet, or half a
 * head, and knows nothing of those before their handshake.)
 */
export class Http1Connections {
  readonly #open = new Set<Socket>()
  /** By their peers: Node does not tell of which connection a TLS connection was made. */
  readonly #handshaking = new Map<string, Socket>()

  /** @param tls the server speaks TLS. */
  watch(server: Server, tls: boolean): void {
    server.on('connection', (socket: Socket) => {
      if (!tls) this.#add(socket)
      else {
        const peer = peerOf(socket)
        this.#handshaking.set(peer, socket)
        socket.once('close', () => this.#handshaking.delete(peer))
      }
    })
    server.on('secureConnection', (socket: TLSSocket) => {
      this.#handshaking.delete(peerOf(socket))
      // HTTP/2 has its own end.
      if (socket.alpnProtocol !== 'h2') this.#add(socket)
    })
  }

  /** To be called when the server closes: it waits for all of them. */
  drain(): void {
    const check = () => {
      for (const socket of this.#handshaking.values()) socket.destroy()
      for (const socket of this.#open) if (!isBusy(socket)) socket.destroy()
      if (this.#open.size + this.#handshaking.size > 0) setTimeout(check, IDLE_CHECK_MS).unref()
    }
    setTimeout(check, LAST_CHANCE_MS).unref()
  }

  #add(socket: Socket): void {
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
  }
}

/** True while a response is being made on it, and for good once it has left HTTP: then its tunnel sees to its end. */
function isBusy(socket: Connection): boolean {
  return socket[CURRENT] !== undefined
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
