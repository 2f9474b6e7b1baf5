import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { OAuthError } from '../../plugin/index.ts'
import { answerFor, type Refusal } from '../http/refusals.ts'
import { endAndClose, hasUnreadBody } from './lingering-close.ts'

/** RFC 9457 problem details; `code` and `detail` are constants, `requestId` finds the log lines. */
interface Problem {
  readonly status: number
  readonly code: string | undefined
  readonly detail: string
  readonly close: boolean
}

type Fields = Readonly<Record<string, string>>

/** A request that is answered here, its response, and the id that finds its log lines. */
export interface Answerable {
  readonly raw: IncomingMessage
  readonly response: ServerResponse
  readonly id: string
}

/** Answers a refused request. `fields`: further response fields, e.g. `allow`. */
export function answerRefusal(to: Answerable, refusal: Refusal, fields?: Fields): void {
  const { status, detail, close = false } = answerFor(refusal)
  answerProblem(to, { status, code: refusal, detail, close }, fields)
}

/** Answers with what the session check found, its challenge included (RFC 6750 §3). */
export function answerOAuthError(to: Answerable, error: OAuthError, fields?: Fields): void {
  const problem = {
    status: error.statusCode,
    code: error.error === '' ? undefined : error.error,
    detail: error.message,
    close: false,
  }
  answerProblem(to, problem, { ...error.headers, ...fields })
}

/** Answers without a body. */
export function answerEmpty(to: Answerable, status: 204, fields: Fields): void {
  answer(to, { status, close: false }, Object.entries(fields).flat(), undefined)
}

function answerProblem(to: Answerable, problem: Problem, fields: Fields = {}): void {
  if (to.response.headersSent || to.response.destroyed) return
  const body = problemBody(problem, to.id)
  answer(to, problem, [...problemHead(body, to.id), ...Object.entries(fields).flat()], body)
}

/** A connection with an unread body on it is not used again (requirements H-33). */
function answer(
  { raw, response }: Answerable,
  { status, close }: Pick<Problem, 'status' | 'close'>,
  head: string[],
  body: string | undefined,
): void {
  const unread = hasUnreadBody(raw)
  if (close || unread) head.push('connection', 'close')
  response.writeHead(status, head)
  if (unread) endAndClose(raw, response, body)
  else response.end(body)
}

/** The same answer where there is no response object: the parser gave up, or the request was CONNECT. */
export function writeRefusal(socket: Socket, requestId: string, refusal: Refusal): void {
  // Node listens no longer on a connection that it has given away. A reset is followed by `close`.
  socket.on('error', () => {})
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const { status, detail } = answerFor(refusal)
  const body = problemBody({ status, code: refusal, detail, close: true }, requestId)
  const head = [...problemHead(body, requestId), 'connection', 'close']
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`
  for (let i = 0; i < head.length; i += 2) text += `${head[i]}: ${head[i + 1]}\r\n`
  socket.end(`${text}\r\n${body}`, () => socket.destroy())
}

function problemBody(problem: Problem, requestId: string): string {
  const { status, code, detail } = problem
  return JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, code, detail, requestId })
}

function problemHead(body: string, requestId: string): string[] {
  return [
    'content-type',
    'application/problem+json',
    'content-length',
    String(Buffer.byteLength(body)),
    'cache-control',
    'no-store',
    'x-content-type-options',
    'nosniff',
    'x-request-id',
    requestId,
  ]
}
