import {
  type IncomingMessage,
  type Server,
  ServerResponse,
  validateHeaderName,
  validateHeaderValue,
} from 'node:http'
import type { Socket } from 'node:net'
import { asksForWebSocket } from '../http/fields.ts'
import { responseOn } from './http1-connection.ts'
import { type RefusalLog, writeRefusal } from './problem-details.ts'

/**
 * The answer to an upgrade request: an ordinary one, after which the connection closes, or the connection itself.
 */
export class UpgradeResponse extends ServerResponse {
  readonly #socket: Socket

  constructor(request: IncomingMessage, socket: Socket) {
    super(request)
    this.#socket = socket
    this.shouldKeepAlive = false
    this.assignSocket(socket)
    // What Node does for the connections that it has not given away.
    socket.on('drain', this.#onDrain)
    this.on('finish', () => socket.destroySoon())
    // A reset is followed by `close`.
    socket.on('error', () => {})
    socket.on('data', this.#onEarly).on('end', this.#onEarly)
  }

  /**
   * Answers 101, and takes the connection out of HTTP: it is the caller's, paused.
   *
   * @param head of `switchingHead`. (`writeHead` and `flushHeaders` would send bytes above ASCII as UTF-8.)
   */
  switchProtocols(head: Buffer): Socket {
    const socket = this.#socket
    socket.write(head)
    socket.off('drain', this.#onDrain).off('data', this.#onEarly).off('end', this.#onEarly)
    socket.pause()
    this.detachSocket(socket)
    return socket
  }

  readonly #onDrain = (): void => {
    this.emit('drain')
  }

  /**
   * The client has left, or it sends before it was answered, which it must not (RFC 6455 §4.1): if the upgrade is
   * refused, an upstream that thinks otherwise could take those bytes for a request of its own.
   */
  readonly #onEarly = (): void => {
    if (!this.headersSent) this.#socket.destroy()
  }
}

/**
 * The head of a 101 on the wire. @param fields a flat list.
 * @throws TypeError when a field holds what it may not (RFC 9110 §5.5).
 */
export function switchingHead(fields: readonly string[]): Buffer {
  let text = 'HTTP/1.1 101 Switching Protocols\r\n'
  for (let i = 0; i < fields.length; i += 2) {
    validateHeaderName(fields[i]!)
    validateHeaderValue(fields[i]!, fields[i + 1]!)
    text += `${fields[i]}: ${fields[i + 1]}\r\n`
  }
  return Buffer.from(`${text}\r\n`, 'latin1')
}

/** Gives upgrade requests to `take`, as every other request. */
export function acceptUpgrades(
  server: Server,
  take: (request: IncomingMessage, response: ServerResponse) => void,
  log: RefusalLog,
): void {
  server.on('upgrade', (request: IncomingMessage, stream, head: Buffer) => {
    const socket = stream as Socket
    // Pipelined behind a request that is being answered: nobody upgrades so, and two answers could mix.
    if (responseOn(socket)) socket.destroy()
    // Node has taken out of HTTP what `upgradable` would have left in it.
    else if (!asksForWebSocket(request.headers.upgrade ?? ''))
      writeRefusal(socket, 'upgrade_unsupported', log, request)
    else if (head.length > 0) writeRefusal(socket, 'request_malformed', log, request)
    else take(request, new UpgradeResponse(request, socket))
  })
}
