import { connect, type Socket } from 'node:net'
import { acceptOf, clientFrame, HANDSHAKE, serverFrame } from '../../servers/websocket.ts'
import { type PlannedRequest, wireFormat } from '../plan.ts'

export interface TunnelListener {
  /** The handshake is done. */
  opened(tunnel: Tunnel): void
  /** The message has come back, unchanged. `startedAt`: of `performance.now()`. */
  echoed(tunnel: Tunnel, startedAt: number): void
  failed(tunnel: Tunnel, why: string): void
}

/** A WebSocket connection to an echo: one message at a time, and each is compared with what comes back. */
export class Tunnel {
  readonly #socket: Socket
  readonly #listener: TunnelListener
  readonly #sent: Buffer
  readonly #expected: Buffer
  #bytes: Buffer = Buffer.alloc(0)
  #startedAt = 0
  #open = false
  #over = false

  /** @param message ASCII, less than 126 bytes; another one in each tunnel, so that no echo can be mistaken. */
  constructor(port: number, request: PlannedRequest, message: string, listener: TunnelListener) {
    this.#listener = listener
    this.#sent = clientFrame(Buffer.from(message))
    this.#expected = serverFrame(Buffer.from(message))
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.#socket.on('data', (chunk) => this.#read(chunk))
    this.#socket.on('error', (error) => this.#fail(error.message))
    this.#socket.on('close', () => this.#fail('a tunnel was closed'))
    this.#socket.write(wireFormat({ ...request, headers: { ...request.headers, ...HANDSHAKE } }, port))
  }

  send(): void {
    this.#startedAt = performance.now()
    this.#socket.write(this.#sent)
  }

  close(): void {
    this.#over = true
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    if (!this.#open) this.#readHandshake()
    else if (this.#bytes.length >= this.#expected.length) this.#readEcho()
  }

  #readHandshake(): void {
    const head = this.#bytes.toString('latin1')
    if (!head.includes('\r\n\r\n')) return
    const accept = `sec-websocket-accept: ${acceptOf(HANDSHAKE['sec-websocket-key'])}`.toLowerCase()
    const isAccepted = head.startsWith('HTTP/1.1 101 ') && head.toLowerCase().includes(accept)
    if (!isAccepted || !head.endsWith('\r\n\r\n')) {
      this.#fail(head.split('\r\n', 1)[0]!)
      return
    }
    this.#bytes = Buffer.alloc(0)
    this.#open = true
    this.#listener.opened(this)
  }

  #readEcho(): void {
    if (!this.#bytes.equals(this.#expected)) {
      this.#fail('an echo is not what was sent')
      return
    }
    this.#bytes = Buffer.alloc(0)
    this.#listener.echoed(this, this.#startedAt)
  }

  #fail(why: string): void {
    if (this.#over) return
    this.close()
    this.#listener.failed(this, why)
  }
}
