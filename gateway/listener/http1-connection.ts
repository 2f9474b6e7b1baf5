import { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { CoalescedResponse, type Connection, CURRENT } from './http1-response.ts'

/**
 * Notes that this response is the one of its connection, at once or as soon as it is.
 *
 * @returns false while the response to an earlier request is still on it (pipelining, RFC 9112 §9.3.2).
 */
export function claimConnection(response: ServerResponse): boolean {
  const socket = response.socket as Connection | null
  if (socket === null) {
    response.once('socket', () => claimConnection(response))
    return false
  }
  // A connection of HTTP/2 has many at a time.
  if (!(response instanceof ServerResponse)) return true
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
