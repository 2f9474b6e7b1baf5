import type { Socket } from 'node:net'
import { acceptOf, readClientFrame, serverFrame } from './websocket.ts'

const KEY = /\r\nsec-websocket-key: *(\S+)/i
const CLOSE = 8

/** Accepts an opening handshake and sends every message back. @param head the request's. */
export function echo(socket: Socket, head: string): void {
  const accept = acceptOf(KEY.exec(head)?.[1] ?? '')
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  )
  let bytes: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    for (let frame = readClientFrame(bytes); frame; frame = readClientFrame(bytes)) {
      bytes = frame.rest
      if (frame.opcode === CLOSE) socket.end()
      else socket.write(serverFrame(frame.text))
    }
  })
}
