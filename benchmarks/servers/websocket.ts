import { createHash } from 'node:crypto'

/** As much of RFC 6455 as two ends need that send each other whole messages of less than 126 bytes. */

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const FINAL_TEXT = 0x81
const MASKED = 0x80
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d])
const CLIENT_HEAD = 2 + MASK.length

/** The fields of an opening handshake (§4.1). */
export const HANDSHAKE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': Buffer.from('sixteen letters!').toString('base64'),
}

/** What it is accepted with (§4.2.2). */
export function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + GUID)
    .digest('base64')
}

/** A text message as a server sends it (§5.2). */
export function serverFrame(text: Buffer): Buffer {
  return Buffer.concat([Buffer.from([FINAL_TEXT, text.length]), text])
}

/** A text message as a client sends it (§5.3). */
export function clientFrame(text: Buffer): Buffer {
  return Buffer.concat([Buffer.from([FINAL_TEXT, MASKED | text.length]), MASK, masked(text, MASK)])
}

/** The first frame of a client's bytes, with what is behind it; undefined until it is complete. */
export function readClientFrame(bytes: Buffer): { opcode: number; text: Buffer; rest: Buffer } | undefined {
  const end = CLIENT_HEAD + ((bytes[1] ?? 0) & 0x7f)
  if (bytes.length < end) return undefined
  const text = masked(bytes.subarray(CLIENT_HEAD, end), bytes.subarray(2, CLIENT_HEAD))
  return { opcode: bytes[0]! & 0x0f, text, rest: bytes.subarray(end) }
}

function masked(text: Buffer, mask: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(text.length)
  for (let i = 0; i < text.length; i += 1) bytes[i] = text[i]! ^ mask[i & 3]!
  return bytes
}
