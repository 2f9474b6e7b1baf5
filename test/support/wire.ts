import { EventEmitter, once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** What a recording upstream has seen of one request, byte for byte. */
export interface RecordedRequest {
  readonly requestLine: string
  /** `name: value` lines as received. */
  readonly headerLines: readonly string[]
  body: Buffer
}

/** The value lines of a field, by lower-case name. */
export function valuesOf(request: RecordedRequest, name: string): string[] {
  return request.headerLines
    .filter((line) => line.slice(0, line.indexOf(':')).toLowerCase() === name)
    .map((line) => line.slice(line.indexOf(':') + 1).trim())
}

export type Responder = (socket: Socket, request: RecordedRequest) => void

/**
 * An upstream on a raw socket: records what arrives and lets `respond` write whatever bytes it likes.
 * `respond` runs when the header is complete, and the body is complete too unless `early`.
 */
export class RawUpstream {
  readonly requests: RecordedRequest[] = []
  readonly sockets = new Set<Socket>()
  /** `head`: a request header has arrived · `close`: a connection has gone. */
  readonly events = new EventEmitter()
  readonly #server: Server
  respond: Responder = answerOk
  early = false

  constructor() {
    this.#server = createServer((socket) => {
      this.sockets.add(socket)
      socket.on('close', () => {
        this.sockets.delete(socket)
        this.events.emit('close')
      })
      socket.on('error', () => {})
      this.#serve(socket)
    })
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(socket: Socket): void {
    let pending = Buffer.alloc(0)
    let current: RecordedRequest | undefined
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk])
      for (;;) {
        if (current === undefined) {
          const end = pending.indexOf('\r\n\r\n')
          if (end === -1) return
          const [requestLine = '', ...headerLines] = pending.subarray(0, end).toString('latin1').split('\r\n')
          pending = pending.subarray(end + 4)
          current = { requestLine, headerLines, body: Buffer.alloc(0) }
          this.requests.push(current)
          this.events.emit('head', current)
          if (this.early) this.respond(socket, current)
        }
        const size = Number(valuesOf(current, 'content-length')[0] ?? 0)
        const chunked = valuesOf(current, 'transfer-encoding').length > 0
        const whole = chunked ? chunkedSize(pending) : size
        if (whole === -1 || pending.length < whole) return
        current.body = pending.subarray(0, whole)
        if (chunked) current.body = dechunked(current.body)
        pending = pending.subarray(whole)
        const request = current
        current = undefined
        if (!this.early) this.respond(socket, request)
      }
    })
  }
}

/** Bytes of the chunked body at the beginning of `bytes`, its trailer included; -1: there are more to come. */
export function chunkedSize(bytes: Buffer): number {
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return -1
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (size === 0) {
      const end = bytes.indexOf('\r\n\r\n', lineEnd)
      return end === -1 ? -1 : end + 4
    }
    at = lineEnd + 2 + size + 2
    if (at > bytes.length) return -1
  }
}

/** The trailer lines of a whole chunked body. */
export function trailerLines(body: Buffer): string[] {
  let at = 0
  for (let size = -1; size !== 0; ) {
    const lineEnd = body.indexOf('\r\n', at)
    size = Number.parseInt(body.toString('latin1', at, lineEnd), 16)
    at = lineEnd + 2 + (size === 0 ? 0 : size + 2)
  }
  return body
    .toString('latin1', at)
    .split('\r\n')
    .filter((line) => line !== '')
}

/** The content of a chunked body. */
export function dechunked(body: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; ; ) {
    const lineEnd = body.indexOf('\r\n', at)
    const size = Number.parseInt(body.subarray(at, lineEnd).toString('latin1'), 16)
    if (lineEnd === -1 || size === 0) return Buffer.concat(pieces)
    pieces.push(body.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
}

export const answerOk: Responder = (socket) => {
  socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok')
}

/** An answer read off the wire. */
export interface WireAnswer {
  readonly status: number
  readonly headerLines: readonly string[]
  readonly body: Buffer
  /** The server closed the connection afterwards. */
  readonly closed: boolean
}

/** Value of a field, several joined with `, `; undefined if absent. */
export function field(answer: WireAnswer, name: string): string | undefined {
  const lines = answer.headerLines.filter((line) => line.toLowerCase().startsWith(`${name}:`))
  return lines.length === 0
    ? undefined
    : lines.map((line) => line.slice(line.indexOf(':') + 1).trim()).join(', ')
}

/** A connection that sends bytes as they are given and reads whole answers. */
export class WireClient {
  readonly socket: Socket
  #received = Buffer.alloc(0)
  #closed = false
  #wake: () => void = () => {}

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.#closed = true
      this.#wake()
    })
  }

  send(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    return this
  }

  /** Everything received until the server closes. */
  async untilClose(): Promise<Buffer> {
    await this.#until(() => this.#closed)
    return this.#received
  }

  /** What has been received and not been read as an answer. */
  get received(): Buffer {
    return this.#received
  }

  /** Waits until what was received is enough, or the server closes. */
  async until(enough: (received: Buffer) => boolean): Promise<void> {
    await this.#until(() => enough(this.#received) || this.#closed)
  }

  /** Waits until what was received contains `text`. */
  async untilReceived(text: string): Promise<void> {
    await this.#until(() => this.#received.includes(text) || this.#closed)
  }

  /** The next answer; for `head` one without a body. */
  async answer(head = false): Promise<WireAnswer> {
    await this.#until(() => this.#received.includes('\r\n\r\n') || this.#closed)
    const end = this.#received.indexOf('\r\n\r\n')
    if (end === -1) throw new Error(`no answer: ${this.#received.toString('latin1')}`)
    const [statusLine = '', ...headerLines] = this.#received.subarray(0, end).toString('latin1').split('\r\n')
    const answer: { -readonly [Key in keyof WireAnswer]: WireAnswer[Key] } = {
      status: Number(statusLine.split(' ')[1]),
      headerLines,
      body: Buffer.alloc(0),
      closed: false,
    }
    this.#received = this.#received.subarray(end + 4)
    const bodyless = head || answer.status === 204 || answer.status === 304 || answer.status < 200
    if (!bodyless) answer.body = await this.#body(answer)
    if (field(answer, 'connection') === 'close') {
      await this.#until(() => this.#closed)
      answer.closed = true
    }
    return answer
  }

  async #body(answer: WireAnswer): Promise<Buffer> {
    const length = field(answer, 'content-length')
    if (length !== undefined) {
      const size = Number(length)
      await this.#until(() => this.#received.length >= size || this.#closed)
      return this.#take(size)
    }
    if (field(answer, 'transfer-encoding') === undefined) {
      await this.#until(() => this.#closed)
      return this.#take(this.#received.length)
    }
    await this.#until(
      () => /(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n$/.test(this.#received.toString('latin1')) || this.#closed,
    )
    return this.#take(this.#received.length)
  }

  #take(size: number): Buffer {
    const taken = this.#received.subarray(0, size)
    this.#received = this.#received.subarray(size)
    return taken
  }

  async #until(done: () => boolean): Promise<void> {
    while (!done()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

/** Sends one request on a connection of its own. */
export async function exchange(port: number, bytes: string | Buffer, head = false): Promise<WireAnswer> {
  const client = new WireClient(port)
  try {
    return await client.send(bytes).answer(head)
  } finally {
    client.socket.destroy()
  }
}
