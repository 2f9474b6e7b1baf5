import type { Socket } from 'node:net'
import { chunkedSize, dechunked, trailerLines } from './wire.ts'

/** An answer as it came, its framing taken off. */
export interface PlainAnswer {
  readonly status: number
  /** Status and header lines of what came before it. */
  readonly interim: readonly string[]
  readonly headerLines: readonly string[]
  readonly body: Buffer
  readonly trailerLines: readonly string[]
  /** The connection can carry another request. */
  readonly reusable: boolean
}

/** Lower-case name and value of a header line. */
export function parted(line: string): [name: string, value: string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
}

/** Reads the answer to a request with this method (RFC 9112 §6.3). Rejects if it breaks off. */
export function readAnswer(socket: Socket, method: string): Promise<PlainAnswer> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0)
    const interim: string[] = []
    const finish = (answer: PlainAnswer) => {
      socket.off('data', onData).off('close', onClose)
      resolve(answer)
    }
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const answer = parsed(false)
      if (answer) finish(answer)
    }
    const onClose = () => {
      const answer = parsed(true)
      if (answer) finish(answer)
      else reject(new Error(`the answer broke off: ${received.toString('latin1', 0, 200)}`))
    }
    socket.on('data', onData).on('close', onClose)

    function parsed(closed: boolean): PlainAnswer | undefined {
      const end = received.indexOf('\r\n\r\n')
      if (end === -1) return undefined
      const [statusLine = '', ...headerLines] = received.toString('latin1', 0, end).split('\r\n')
      const status = Number(statusLine.split(' ')[1])
      const rest = received.subarray(end + 4)
      if (status < 200) {
        interim.push(`${status}`, ...headerLines)
        received = rest
        return parsed(closed)
      }
      const values = new Map(headerLines.map(parted))
      const answer = { status, interim, headerLines, trailerLines: [] as string[] }
      const reusable = !/\bclose\b/i.test(values.get('connection') ?? '')
      if (method === 'HEAD' || status === 204 || status === 304) {
        return { ...answer, body: Buffer.alloc(0), reusable }
      }
      if (values.has('transfer-encoding')) {
        const size = chunkedSize(rest)
        if (size === -1 || size > rest.length) return undefined
        const whole = rest.subarray(0, size)
        return { ...answer, body: dechunked(whole), trailerLines: trailerLines(whole), reusable }
      }
      const length = values.get('content-length')
      if (length === undefined) return closed ? { ...answer, body: rest, reusable: false } : undefined
      return rest.length < Number(length) ? undefined : { ...answer, body: rest, reusable }
    }
  })
}
