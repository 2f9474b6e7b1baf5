import type { IncomingMessage, ServerResponse } from 'node:http'

/** How long the rest of an unwanted upload is read and thrown away after the answer. */
const LINGER_MS = 2000

/** True if the request announced a body that has not fully arrived. (An injected request is always whole.) */
export function hasUnreadBody(request: IncomingMessage): boolean {
  if (request.complete !== false) return false
  const { 'content-length': contentLength, 'transfer-encoding': transferEncoding } = request.headers
  return transferEncoding !== undefined || (contentLength !== undefined && contentLength !== '0')
}

/**
 * Ends an answer that says `connection: close` while the client is still sending.
 *
 * Closing at once would make the kernel reset the connection, and the client could lose the answer that is on
 * its way to it. So only our side is closed at first, and the upload is thrown away for a bounded time
 * (RFC 9112 §9.6). An answer without a length needs its last chunk, which Node sends only with the end.
 */
export function endAndClose(
  request: IncomingMessage,
  response: ServerResponse,
  chunk?: Buffer | string,
): void {
  // There only the stream ends, and its response sees to the upload.
  if (request.httpVersionMajor === 2) {
    response.end(chunk)
    return
  }
  // Without a body nothing can be written but the head.
  if (request.method === 'HEAD' || response.statusCode === 204 || response.statusCode === 304) {
    response.flushHeaders()
  } else response.write(chunk ?? '', chunk === undefined ? 'latin1' : 'utf8')
  const { socket } = request
  const { chunkedEncoding } = response
  if (!chunkedEncoding) socket.end()
  const close = () => {
    clearTimeout(timer)
    if (chunkedEncoding) response.end()
    else socket.destroySoon()
  }
  const timer = setTimeout(close, LINGER_MS)
  request.once('end', close)
  response.once('close', close)
  request.resume()
}
