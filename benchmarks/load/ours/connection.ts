import { connect, type Socket } from 'node:net'
import { connect as connectSecurely, type TLSSocket } from 'node:tls'
import type { LoadPlan } from '../plan.ts'
import { tlsOptions } from '../secure.ts'

/** One request at a time, every answer checked. */
export interface Client {
  /** @param next which of the plan's requests. @param startedAt when it was due, of `performance.now()`. */
  send(next: number, startedAt?: number): void
  close(): void
}

export interface Expectations {
  readonly status: number
  /** Compared byte for byte where the answer announces its length. */
  readonly answer: Buffer | undefined
  /** Reads at most one piece in so many milliseconds; 0: at full speed. */
  readonly slowMs: number
}

export interface Listener {
  /** The answer is complete and as expected. `startedAt`: of `performance.now()`. */
  answered(client: Client, startedAt: number): void
  failed(client: Client, why: string): void
  /** So many bytes of a body have come. */
  received(bytes: number): void
}

const EMPTY = Buffer.alloc(0)
const HEAD_END = Buffer.from('\r\n\r\n')
const LAST_CHUNK = Buffer.from('0\r\n\r\n')
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i

/**
 * A client that does little besides counting: a general one would need as much CPU as the server that it
 * measures, and on two cores it would be the limit itself.
 */
export class Connection implements Client {
  readonly #listener: Listener
  readonly #expected: Expectations
  readonly #plan: Pick<LoadPlan, 'port' | 'secure' | 'handshakes'>
  readonly #wire: readonly (readonly Buffer[])[]
  #socket: Socket | null = null
  /** Of the last connection, to be resumed. */
  #session: Buffer | undefined
  #startedAt = 0
  #waiting = false
  #head: Buffer = EMPTY
  #inBody = false
  /** Bytes of the body that have come, and that will; -1: chunked. */
  #received = 0
  #length = 0
  #closed = false

  /** @param wire each request in pieces; a large upload is a piece of its own, so that it is not copied. */
  constructor(
    plan: Pick<LoadPlan, 'port' | 'secure' | 'handshakes'>,
    wire: readonly (readonly Buffer[])[],
    expected: Expectations,
    listener: Listener,
  ) {
    this.#plan = plan
    this.#wire = wire
    this.#expected = expected
    this.#listener = listener
  }

  /** Between two requests a server may have closed it. */
  get isOpen(): boolean {
    return this.#socket !== null
  }

  send(next: number, startedAt = performance.now()): void {
    this.#startedAt = startedAt
    this.#waiting = true
    const socket = this.#socket ?? this.#open()
    for (const piece of this.#wire[next]!) socket.write(piece)
  }

  close(): void {
    this.#closed = true
    this.#socket?.destroy()
  }

  #open(): Socket {
    const socket = this.#connect()
    this.#socket = socket
    this.#head = EMPTY
    this.#inBody = false
    socket.on('data', (chunk) => {
      this.#read(chunk)
      if (this.#expected.slowMs > 0) {
        socket.pause()
        setTimeout(() => socket.resume(), this.#expected.slowMs)
      }
    })
    socket.on('error', (error) => this.#gone(socket, error.message))
    socket.on('close', () => this.#gone(socket, 'the connection was closed'))
    return socket
  }

  #connect(): Socket {
    const { port, secure, handshakes } = this.#plan
    const to = { port, host: '127.0.0.1' }
    if (secure === undefined) return connect({ ...to, noDelay: true })
    const resumed = this.#session
    const socket = connectSecurely({ ...to, ...tlsOptions(secure), ...(resumed && { session: resumed }) })
    socket.setNoDelay(true)
    if (handshakes === 'resumed') {
      socket.on('session', (session: Buffer) => {
        this.#session = session
      })
    }
    socket.on('secureConnect', () => this.#shaken(socket, resumed !== undefined))
    return socket
  }

  #shaken(socket: TLSSocket, isResumption: boolean): void {
    if (socket.isSessionReused() === isResumption) return
    this.#fail(isResumption ? 'the session was not resumed' : 'a session was resumed')
  }

  /** A server may close a connection between two requests; within one, it is an error. */
  #gone(socket: Socket, why: string): void {
    if (this.#closed || this.#socket !== socket) return
    this.#socket = null
    if (!this.#waiting) return
    this.#waiting = false
    this.#listener.failed(this, why)
  }

  #read(chunk: Buffer): void {
    if (this.#inBody) {
      this.#readBody(chunk)
      return
    }
    const bytes = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk])
    const end = bytes.indexOf(HEAD_END)
    if (end === -1) {
      this.#head = bytes
      return
    }
    this.#head = EMPTY
    this.#readHead(bytes.toString('latin1', 0, end), bytes.subarray(end + 4))
  }

  #readHead(head: string, rest: Buffer): void {
    const status = Number(head.slice(9, 12))
    if (status < 200) this.#read(rest)
    else if (status !== this.#expected.status) {
      this.#fail(`${head.split('\r\n', 1)[0]}: ${rest.toString('latin1', 0, 120)}`)
    } else {
      const length = CONTENT_LENGTH.exec(head)?.[1]
      this.#length = status === 204 || status === 304 ? 0 : length === undefined ? -1 : Number(length)
      this.#received = 0
      this.#inBody = true
      this.#readBody(rest)
    }
  }

  #readBody(chunk: Buffer): void {
    const offset = this.#received
    this.#received += chunk.length
    this.#listener.received(chunk.length)
    if (this.#length === -1) {
      if (chunk.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)) this.#complete()
    } else if (this.#received > this.#length) this.#fail('more came than was announced')
    else if (!this.#isExpected(chunk, offset)) this.#fail('the body is not the expected one')
    else if (this.#received === this.#length) this.#complete()
  }

  #isExpected(piece: Buffer, offset: number): boolean {
    const { answer } = this.#expected
    if (answer === undefined) return true
    return this.#length === answer.length && piece.compare(answer, offset, offset + piece.length) === 0
  }

  #complete(): void {
    this.#inBody = false
    this.#waiting = false
    if (this.#plan.handshakes !== undefined) {
      this.#socket?.end()
      this.#socket = null
    }
    this.#listener.answered(this, this.#startedAt)
  }

  #fail(why: string): void {
    this.#waiting = false
    this.#socket?.destroy()
    this.#socket = null
    this.#listener.failed(this, why)
  }
}
