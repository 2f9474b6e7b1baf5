import type { Socket } from 'node:net'

/** Where the status stands in `HTTP/1.1 100`. */
const STATUS_AT = 9
const STATUS_END = 12
const CR = 13
const LF = 10
const ZERO = 0x30
const ONE = 0x31
const NINE = 0x39
const H = 0x48

/**
 * Follows the beginnings of the answers on a connection to an upstream, one request at a time. It knows whether the
 * connection has been used before, and whether an answer has begun; and it hides a 100 from undici, which takes one
 * for the end of the connection: what is said is `HTTP/1.1 109`, an interim answer that nobody heeds.
 *
 * Bodies are not looked at: after the status of a final answer nothing is, until the next request.
 * Source: RFC 9110 §15.2 (a client must be able to parse 1xx answers, even if it does not expect any); H-23, H-25.
 */
export class AnswerHeads {
  #answers = 0
  #isAwaited = false
  #hasBegun = true
  /** Of the present head: bytes of its status line, at most `STATUS_END`. */
  #at = 0
  /** So far the status is that of an interim answer, or that of a 100. */
  #isInterim = false
  #isContinue = false
  /** In an interim head: nothing but CR since the last LF. */
  #isLineEmpty = false

  /** A request is about to be sent. */
  await(): void {
    this.#isAwaited = true
    this.#hasBegun = false
    this.#at = 0
  }

  /** An earlier request was answered on this connection, and the present one has not got a single byte. */
  get isReusedInVain(): boolean {
    return this.#answers > 0 && !this.#hasBegun
  }

  /** Takes what has arrived, before anybody else; a 100 is rewritten in place. */
  accept(piece: Buffer): void {
    if (!this.#isAwaited) return
    this.#hasBegun = true
    const isFinal = this.#at === 0 && piece.length >= STATUS_END && piece[0] === H && piece[STATUS_AT] !== ONE
    if (isFinal) this.#final()
    else this.#read(piece)
  }

  #final(): void {
    this.#isAwaited = false
    this.#answers++
  }

  #read(piece: Buffer): void {
    for (let i = 0; i < piece.length && this.#isAwaited; i++) {
      const byte = piece[i]!
      if (this.#at === STATUS_END) this.#readRest(byte)
      // Empty lines before the status line are nothing (llhttp).
      else if (this.#at > 0 || (byte !== CR && byte !== LF)) {
        this.#readStatusLine(byte)
        if (this.#at === STATUS_END && this.#isContinue) piece[i] = NINE
      }
    }
  }

  #readStatusLine(byte: number): void {
    const place = this.#at - STATUS_AT
    if (place === 0) {
      this.#isInterim = byte === ONE
      this.#isContinue = this.#isInterim
    } else if (place > 0) {
      // 101 is the last that is said in HTTP.
      if (place === 2 && this.#isContinue && byte === ONE) this.#isInterim = false
      if (byte !== ZERO) this.#isContinue = false
    }
    this.#at++
    if (this.#at < STATUS_END) return
    this.#isLineEmpty = false
    if (!this.#isInterim) this.#final()
  }

  /** Up to the empty line, after which another head begins. */
  #readRest(byte: number): void {
    if (byte === LF) {
      if (this.#isLineEmpty) this.#at = 0
      this.#isLineEmpty = true
    } else if (byte !== CR) this.#isLineEmpty = false
  }
}

/**
 * Follows the answers on a connection, from its first byte. A socket hands each piece that arrives to its own `push`,
 * as every Readable does with what it gets; where it did not, no request would seem to be answered, so nothing would
 * be repeated, and a 100 would be an error as ever.
 */
export function followAnswers(socket: Socket): AnswerHeads {
  const heads = new AnswerHeads()
  const push = socket.push
  socket.push = function (this: Socket, piece: unknown, encoding?: BufferEncoding): boolean {
    if (piece !== null) heads.accept(piece as Buffer)
    return push.call(this, piece, encoding)
  }
  return heads
}
