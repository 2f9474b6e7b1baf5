import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { head } from './forwarder.ts'
import { type RecordedRequest, type Responder, valuesOf, WireClient } from './wire.ts'

export const TEXT = 1
export const BINARY = 2
export const CLOSE = 8
export const PING = 9
export const PONG = 10

export interface Frame {
  readonly fin: boolean
  readonly opcode: number
  readonly payload: Buffer
}

/** A frame on the wire. `mask`: as a client sends it. */
export function frame(
  opcode: number,
  payload: Buffer | string,
  { fin = true, mask = false }: { fin?: boolean; mask?: boolean } = {},
): Buffer {
  const body = Buffer.from(payload)
  const size = body.length
  const header =
    size < 126
      ? Buffer.alloc(2)
      : size < 65_536
        ? Buffer.from([0, 0, size >> 8, size & 255])
        : Buffer.alloc(10)
  if (header.length === 10) header.writeBigUInt64BE(BigInt(size), 2)
  header[0] = (fin ? 0x80 : 0) | opcode
  header[1] = (mask ? 0x80 : 0) | (header.length === 2 ? size : header.length === 4 ? 126 : 127)
  if (!mask) return Buffer.concat([header, body])
  const key = Buffer.from([1, 2, 3, 4])
  return Buffer.concat([header, key, body.map((byte, i) => byte ^ key[i & 3]!)])
}

/** The whole frames at the beginning of `bytes`, unmasked, and what is left over. */
export function framesOf(bytes: Buffer): { frames: Frame[]; rest: Buffer } {
  const frames: Frame[] = []
  for (let at = 0; ; ) {
    const rest = bytes.subarray(at)
    if (rest.length < 2) return { frames, rest }
    const short = rest[1]! & 127
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0
    const masked = rest[1]! >= 128
    const start = 2 + extended + (masked ? 4 : 0)
    if (rest.length < start) return { frames, rest }
    const size = extended === 0 ? short : Number(BigInt(`0x${rest.toString('hex', 2, 2 + extended)}`))
    if (rest.length < start + size) return { frames, rest }
    const key = rest.subarray(start - 4, start)
    const payload = Buffer.from(rest.subarray(start, start + size))
    if (masked) for (let i = 0; i < size; i++) payload[i] = payload[i]! ^ key[i & 3]!
    frames.push({ fin: rest[0]! >= 128, opcode: rest[0]! & 15, payload })
    at += start + size
  }
}

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
/** Of RFC 6455 §1.3, for the key above. */
export const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

/** An opening handshake with a session. */
export function handshake(target: string, ...headerLines: string[]): string {
  return head(
    `GET ${target}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${KEY}`,
    ...headerLines,
  )
}

/** A 101 for the request; the connection is the caller's from then on. */
export function acceptHandshake(socket: Socket, request: RecordedRequest, ...headerLines: string[]): void {
  const key = valuesOf(request, 'sec-websocket-key')[0] ?? ''
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    ...headerLines,
  ]
  socket.removeAllListeners('data')
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
}

/** An upstream that sends every data frame back as it came, answers pings, and takes part in the closing. */
export const echo: Responder = (socket, request) => {
  const protocol = valuesOf(request, 'sec-websocket-protocol')[0]?.split(',')[0]
  acceptHandshake(socket, request, ...(protocol ? [`Sec-WebSocket-Protocol: ${protocol}`] : []))
  let pending = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    const { frames, rest } = framesOf(Buffer.concat([pending, chunk]))
    pending = Buffer.from(rest)
    for (const { fin, opcode, payload } of frames) {
      const answer = frame(opcode === PING ? PONG : opcode, payload, { fin })
      if (!socket.write(answer)) {
        socket.pause()
        socket.once('drain', () => socket.resume())
      }
      if (opcode === CLOSE) socket.end()
    }
  })
}

/** A raw client whose handshake has been answered with 101. */
export async function connected(port: number, ...headerLines: string[]): Promise<WireClient> {
  const client = new WireClient(port).send(handshake('/api/ws', ...headerLines))
  const { status } = await client.answer()
  if (status !== 101) throw new Error(`no tunnel: ${status}`)
  return client
}

/** Frames that the client has received until `count` of them are there. */
export async function receive(client: WireClient, count: number): Promise<Frame[]> {
  await client.until((received) => framesOf(received).frames.length >= count)
  return framesOf(client.received).frames
}
