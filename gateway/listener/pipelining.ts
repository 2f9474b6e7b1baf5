import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Requests that may wait on one connection. Node itself bounds only what their answers would hold. */
const WAITING_MAX = 100

const waiting = new WeakMap<Socket, number>()

/**
 * Calls `run` when the connection is this response's own. A request that was sent behind another one (pipelined,
 * RFC 9112 §9.3.2) waits for that one's answer: if that closes the connection, or the client leaves, the request
 * is never run, for nobody would be told of it.
 */
export function inTurn(socket: Socket, response: ServerResponse, run: () => void): void {
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
