import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import type { LoadPlan, Secure } from '../plan.ts'
import { tlsOptions } from '../secure.ts'
import type { Client, Expectations, Listener } from './connection.ts'

/** Connections, among which the streams are shared. */
const SESSIONS = 4

type Fields = Record<string, string>

/**
 * As many streams under way as the plan has connections, on a few connections.
 *
 * @throws Error for a plan with uploads, which this client does not send.
 */
export function http2Clients(
  plan: Pick<LoadPlan, 'port' | 'connections' | 'requests' | 'uploadBytes'>,
  secure: Secure,
  expected: Expectations,
  listener: Listener,
): readonly Client[] {
  if (plan.uploadBytes > 0 || plan.requests.some(({ body }) => body !== undefined)) {
    throw new Error('over HTTP/2 only requests without a body are sent')
  }
  const authority = `127.0.0.1:${plan.port}`
  const requests = plan.requests.map(({ method, path, headers }) => ({
    ':method': method,
    ':scheme': 'https',
    ':authority': authority,
    ':path': path,
    ...headers,
  }))
  const sessions = Array.from({ length: Math.min(SESSIONS, plan.connections) }, () =>
    // What happens to a session is told by its streams.
    connect(`https://${authority}`, tlsOptions(secure)).on('error', () => {}),
  )
  return Array.from({ length: plan.connections }, (_, i) => {
    return new StreamClient(sessions[i % sessions.length]!, requests, expected, listener)
  })
}

/** One stream at a time, of a session that others share. */
class StreamClient implements Client {
  readonly #session: ClientHttp2Session
  readonly #requests: readonly Fields[]
  readonly #expected: Expectations
  readonly #listener: Listener

  constructor(
    session: ClientHttp2Session,
    requests: readonly Fields[],
    expected: Expectations,
    listener: Listener,
  ) {
    this.#session = session
    this.#requests = requests
    this.#expected = expected
    this.#listener = listener
  }

  send(next: number, startedAt = performance.now()): void {
    if (this.#session.destroyed) {
      // Not at once: who is told sends the next one.
      setImmediate(() => this.#listener.failed(this, 'the connection was closed'))
      return
    }
    const stream = this.#session.request(this.#requests[next]!)
    let received = 0
    let isOver = false
    const fail = (why: string) => {
      if (isOver) return
      isOver = true
      stream.close()
      this.#listener.failed(this, why)
    }
    stream.on('response', ({ ':status': status }) => {
      if (status !== this.#expected.status) fail(`it answers ${status}`)
    })
    stream.on('data', (chunk: Buffer) => {
      if (!isOver && !this.#isExpected(chunk, received)) fail('the body is not the expected one')
      received += chunk.length
    })
    stream.on('end', () => {
      if (isOver) return
      if (!isWhole(stream, received, this.#expected.answer)) return fail('the answer is not whole')
      isOver = true
      this.#listener.received(received)
      this.#listener.answered(this, startedAt)
    })
    stream.on('error', (error) => fail(error.message))
    stream.on('close', () => fail('the stream was closed'))
  }

  close(): void {
    this.#session.destroy()
  }

  #isExpected(piece: Buffer, offset: number): boolean {
    const { answer } = this.#expected
    if (answer === undefined) return true
    const end = offset + piece.length
    return end <= answer.length && piece.compare(answer, offset, end) === 0
  }
}

/** A stream that was reset ends as well. */
function isWhole({ rstCode }: ClientHttp2Stream, received: number, answer: Buffer | undefined): boolean {
  return rstCode === 0 && (answer === undefined || received === answer.length)
}
