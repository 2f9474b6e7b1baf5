import { once } from 'node:events'
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from 'node:http2'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { HOST } from './forwarder.ts'
import { until } from './wait.ts'

/** An answer over HTTP/2, read to the end of its stream. */
export interface StreamAnswer {
  readonly status: number
  /** As received, in their order, without pseudo-header fields. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** Status and Link of what came before it. */
  readonly interim: readonly string[]
  readonly body: Buffer
  readonly trailers: Readonly<Record<string, unknown>>
  /** How the stream was closed: 0 if whole. */
  readonly code: number
}

export interface Http2Client {
  readonly session: ClientHttp2Session
  /** Code of the GOAWAY, if there was one. */
  readonly goaway: () => number | undefined
  /** One request of the session `Bearer good`. @param send writes a body; without it there is none. */
  ask(fields: OutgoingHttpHeaders, send?: (stream: OpenStream) => void): Promise<StreamAnswer>
  open(fields: OutgoingHttpHeaders, hasBody?: boolean): OpenStream
}

export type OpenStream = ReturnType<ClientHttp2Session['request']>

export async function http2Client(port: number, ca: string): Promise<Http2Client> {
  const session = connect(`https://${HOST}:${port}`, {
    createConnection: () =>
      connectTls({ port, host: '127.0.0.1', servername: HOST, ca, ALPNProtocols: ['h2'] }),
  })
  let goaway: number | undefined
  session.on('goaway', (code) => {
    goaway = code
  })
  await once(session, 'connect')
  session.on('error', () => {})
  const open = (fields: OutgoingHttpHeaders, hasBody = false) => {
    const good = { ':authority': HOST, authorization: 'Bearer good' }
    return session.request({ ...good, ...fields }, { endStream: !hasBody })
  }
  return {
    session,
    goaway: () => goaway,
    open,
    ask(fields, send) {
      const stream = open(fields, send !== undefined)
      send?.(stream)
      return answerOf(stream)
    },
  }
}

/** The field's values, joined; undefined if there is none. */
export function fieldOf({ fields }: StreamAnswer, name: string): string | undefined {
  const values = fields.filter(([one]) => one === name).map(([, value]) => value)
  return values.length === 0 ? undefined : values.join(', ')
}

export function answerOf(stream: OpenStream): Promise<StreamAnswer> {
  return new Promise((resolve) => {
    let status = 0
    let fields: StreamAnswer['fields'] = []
    let trailers: StreamAnswer['trailers'] = {}
    const interim: string[] = []
    const pieces: Buffer[] = []
    stream.on('headers', (head) => {
      interim.push(`${head[':status']} ${head.link ?? ''}`)
    })
    stream.on('response', (head, _flags, raw?: string[]) => {
      status = Number(head[':status'])
      fields = (raw ?? []).flatMap((name, at, all) =>
        at % 2 === 0 && !name.startsWith(':') ? [[name, all[at + 1]!] as const] : [],
      )
    })
    stream.on('trailers', (given) => {
      trailers = { ...given }
    })
    stream.on('data', (chunk: Buffer) => pieces.push(chunk))
    stream.on('error', () => {})
    stream.on('close', () => {
      const body = Buffer.concat(pieces)
      resolve({ status, fields, interim, body, trailers, code: stream.rstCode ?? 0 })
    })
  })
}

/** Types of frames (RFC 9113 §6). */
export const HEADERS = 1
export const RST_STREAM = 3
export const SETTINGS = 4
export const GOAWAY = 7
export const CONTINUATION = 9
export const DATA = 0
export const END_STREAM = 1
export const END_HEADERS = 4
/** Of a frame's payload, unless somebody allows more (RFC 9113 §4.2). */
const MAX_FRAME = 16_384

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** A frame on the wire (RFC 9113 §4.1). */
export function frameBytes(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A field block of literals that enter no table, without Huffman codes (RFC 7541 §6.2.2). */
export function fieldBlock(fields: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.from(value, 'latin1')
    if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
    const length = [127]
    let rest = bytes.length - 127
    for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128)
    return Buffer.concat([Buffer.from([...length, rest]), bytes])
  }
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))
}

/** A client that sends frames as they are given, and keeps those that it gets. */
export class FrameClient {
  readonly socket: TLSSocket
  readonly frames: Frame[] = []
  closed = false
  #received = Buffer.alloc(0)

  private constructor(socket: TLSSocket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
    })
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
  }

  /** @param acknowledges false: the settings of the server are never acknowledged (RFC 9113 §6.5.3). */
  static async connect(port: number, ca: string, acknowledges = true): Promise<FrameClient> {
    const socket = connectTls({ port, host: '127.0.0.1', servername: HOST, ca, ALPNProtocols: ['h2'] })
    await once(socket, 'secureConnect')
    const client = new FrameClient(socket)
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    socket.write(frameBytes(SETTINGS, 0, 0, Buffer.alloc(0)))
    await until(() => client.frames.some(({ type, flags }) => type === SETTINGS && flags === 0))
    if (acknowledges) socket.write(frameBytes(SETTINGS, 1, 0, Buffer.alloc(0)))
    return client
  }

  request(stream: number, fields: readonly (readonly [string, string])[], flags = END_STREAM): void {
    this.block(stream, fieldBlock(fields), flags)
  }

  /** A request by its field block, in one frame of HEADERS and as many of CONTINUATION as it takes. */
  block(stream: number, block: Buffer, flags = END_STREAM): void {
    for (let at = 0; at === 0 || at < block.length; at += MAX_FRAME) {
      const isLast = at + MAX_FRAME >= block.length
      const type = at === 0 ? HEADERS : CONTINUATION
      const bits = (at === 0 ? flags : 0) | (isLast ? END_HEADERS : 0)
      this.socket.write(frameBytes(type, bits, stream, block.subarray(at, at + MAX_FRAME)))
    }
  }

  /** What became of a stream: the first RST_STREAM (its code), HEADERS, or GOAWAY that was received. */
  async fate(stream: number): Promise<string> {
    const found = () =>
      this.frames.find((one) => one.type === GOAWAY || (one.stream === stream && one.type !== DATA))
    await until(() => found() !== undefined || this.closed)
    const frame = found()
    if (frame?.type === RST_STREAM) return `RST_STREAM ${frame.payload.readUInt32BE(0)}`
    if (frame?.type === GOAWAY) return `GOAWAY ${frame.payload.readUInt32BE(4)}`
    return frame ? 'HEADERS' : 'closed'
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    for (;;) {
      if (this.#received.length < 9) return
      const length = this.#received.readUIntBE(0, 3)
      if (this.#received.length < 9 + length) return
      this.frames.push({
        type: this.#received.readUInt8(3),
        flags: this.#received.readUInt8(4),
        stream: this.#received.readUInt32BE(5),
        payload: this.#received.subarray(9, 9 + length),
      })
      this.#received = this.#received.subarray(9 + length)
    }
  }
}
