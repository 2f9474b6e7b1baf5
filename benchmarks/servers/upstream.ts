import { createHash } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { readArgument } from '../plan/argument.ts'
import { body, received, smallAnswer } from './bodies.ts'
import { echo } from './echo.ts'
import { Broadcast, quietStream } from './event-stream.ts'

/**
 * A fast upstream with fixed answers, in a process of its own: raw sockets, so that it is not what limits.
 *
 * `GET …/small` 200 bytes of JSON · `GET …/down/N` N bytes · `POST …/up` the number of bytes received ·
 * `POST …/digest` their SHA-256, for the checks before the timing · `GET …/events` an event stream · `GET …/quiet` one
 * with one event · `GET …/echo` a WebSocket that sends every message back.
 */
const { port } = readArgument<{ port: number }>()

const FIELDS =
  'server: upstream\r\ndate: Mon, 05 Jan 2026 08:00:00 GMT\r\nlast-modified: Mon, 05 Jan 2026 07:00:00 GMT\r\n' +
  'etag: "5f1e2d3c"\r\naccept-ranges: bytes\r\nconnection: keep-alive\r\n'
const HEAD_END = Buffer.from('\r\n\r\n')
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n')
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i

const small = answer('application/json', smallAnswer)
const downloads = new Map<number, Buffer>()
const uploads = new Map<number, Buffer>()
const broadcast = new Broadcast()

/** One connection: requests one after another, and the rest of an upload. */
class Connection {
  readonly #socket: Socket
  #head = ''
  #received = 0
  /** Bytes of the upload that are still to come; -1: chunked. */
  #expected = 0
  #digest: ReturnType<typeof createHash> | undefined
  #tail = Buffer.alloc(0)

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => this.#read(chunk))
  }

  #read(chunk: Buffer): void {
    if (this.#expected !== 0) {
      this.#upload(chunk)
      return
    }
    const end = chunk.indexOf(HEAD_END)
    if (end === -1) {
      this.#head += chunk.toString('latin1')
      const joined = this.#head.indexOf('\r\n\r\n')
      if (joined !== -1) this.#request(this.#head, Buffer.alloc(0))
      return
    }
    this.#request(this.#head + chunk.toString('latin1', 0, end), chunk.subarray(end + 4))
  }

  #request(head: string, rest: Buffer): void {
    this.#head = ''
    const target = head.slice(head.indexOf(' ') + 1, head.indexOf(' ', head.indexOf(' ') + 1))
    if (head.startsWith('GET')) {
      this.#get(target, head)
      return
    }
    const length = CONTENT_LENGTH.exec(head)?.[1]
    this.#received = 0
    this.#expected = length === undefined ? -1 : Number(length)
    this.#digest = target.endsWith('/digest') ? createHash('sha256') : undefined
    this.#tail = Buffer.alloc(0)
    if (rest.length > 0) this.#upload(rest)
  }

  #get(target: string, head: string): void {
    if (target.endsWith('/small')) this.#socket.write(small)
    else if (target.endsWith('/events')) broadcast.add(this.#socket)
    else if (target.endsWith('/quiet')) quietStream(this.#socket)
    else if (target.endsWith('/echo')) echo(this.#socket.removeAllListeners('data'), head)
    else this.#socket.write(download(target))
  }

  #upload(chunk: Buffer): void {
    this.#digest?.update(chunk)
    this.#received += chunk.length
    if (this.#expected === -1) {
      // Only the end is looked for: the body of a chunked upload is not counted exactly, it is not timed either.
      this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-7)
      if (!this.#tail.equals(LAST_CHUNK)) return
    } else if (this.#received < this.#expected) return
    this.#expected = 0
    if (this.#digest) this.#socket.write(answer('text/plain', Buffer.from(this.#digest.digest('hex'))))
    else this.#socket.write(remembered(uploads, this.#received, () => json(received(this.#received))))
  }
}

function download(target: string): Buffer {
  const length = Number(target.slice(target.lastIndexOf('/') + 1))
  return remembered(downloads, length, () => answer('application/octet-stream', body(length)))
}

function json(content: Buffer): Buffer {
  return answer('application/json', content)
}

function answer(type: string, content: Buffer): Buffer {
  const head = `HTTP/1.1 200 OK\r\n${FIELDS}content-type: ${type}\r\ncontent-length: ${content.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), content])
}

function remembered(known: Map<number, Buffer>, length: number, make: () => Buffer): Buffer {
  const before = known.get(length)
  if (before !== undefined) return before
  const made = make()
  known.set(length, made)
  return made
}

createServer((socket) => new Connection(socket)).listen({ host: '127.0.0.1', port, backlog: 4096 })
