import { randomBytes } from 'node:crypto'

/** Why a connection is closed (RFC 6455 §7.4.1). */
export type CloseCode = 1001 | 1002 | 1008 | 1009

const MAX_HEADER_BYTES = 14
const MAX_CONTROL_BYTES = 125

/**
 * Follows the frames of one direction by their headers alone. Payload is counted, never kept or unmasked, so
 * nothing is buffered, and what an extension has made of it does not matter: sizes are those on the wire.
 *
 * Source: RFC 6455 §5.2.
 */
export class FrameScanner {
  /** All that was accepted so far ends with a frame: another one may be put behind it. */
  whole = true
  readonly #maxMessageBytes: number
  readonly #header = Buffer.alloc(MAX_HEADER_BYTES)
  #headerBytes = 0
  #headerSize = 2
  /** Of the present frame, still to come. */
  #payloadBytes = 0
  /** Of the present message, so far announced. */
  #messageBytes = 0

  constructor(maxMessageBytes = Number.POSITIVE_INFINITY) {
    this.#maxMessageBytes = maxMessageBytes
  }

  /** Reads on. @returns null, or why the piece must not be passed on; then `whole` is about what came before. */
  accept(chunk: Buffer): CloseCode | null {
    let at = 0
    while (at < chunk.length) {
      if (this.#payloadBytes > 0) {
        const step = Math.min(this.#payloadBytes, chunk.length - at)
        this.#payloadBytes -= step
        at += step
        continue
      }
      this.#header[this.#headerBytes++] = chunk[at++]!
      if (this.#headerBytes === 2) this.#headerSize = headerSize(this.#header[1]!)
      if (this.#headerBytes === this.#headerSize) {
        const violation = this.#beginFrame()
        if (violation !== null) return violation
      }
    }
    this.whole = this.#headerBytes === 0 && this.#payloadBytes === 0
    return null
  }

  #beginFrame(): CloseCode | null {
    const length = payloadLength(this.#header)
    const opcode = this.#header[0]! & 0x0f
    const isControl = opcode >= 8
    this.#headerBytes = 0
    this.#headerSize = 2
    this.#payloadBytes = length
    if (isControl) return length > MAX_CONTROL_BYTES ? 1002 : null
    // Every frame but a continuation begins a message; control frames may come in between.
    this.#messageBytes = opcode === 0 ? this.#messageBytes + length : length
    return this.#messageBytes > this.#maxMessageBytes || !Number.isSafeInteger(length) ? 1009 : null
  }
}

function headerSize(second: number): number {
  const length = second & 0x7f
  const extended = length === 126 ? 2 : length === 127 ? 8 : 0
  return 2 + extended + (second >= 0x80 ? 4 : 0)
}

function payloadLength(header: Buffer): number {
  const length = header[1]! & 0x7f
  if (length < 126) return length
  return length === 126 ? header.readUInt16BE(2) : header.readUInt32BE(2) * 2 ** 32 + header.readUInt32BE(6)
}

/** A close frame without a reason. `masked`: as a client's frames are (RFC 6455 §5.3, §5.5.1). */
export function closeFrame(code: CloseCode, masked: boolean): Buffer {
  const payload = [code >> 8, code & 0xff]
  if (!masked) return Buffer.from([0x88, payload.length, ...payload])
  const key = randomBytes(4)
  return Buffer.from([0x88, 0x80 | payload.length, ...key, ...payload.map((byte, i) => byte ^ key[i]!)])
}
