import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import { loggedPath } from '../../plugin/api/internal.ts'
import type { OAuthError } from '../../plugin/index.ts'
import { answerFor, type Refusal } from '../http/refusals.ts'
import { newRequestId } from '../http/request-id.ts'
import { endAndClose, hasUnreadBody } from './lingering-close.ts'

/** RFC 9457 problem details; `code` and `detail` are constants, `requestId` finds the log lines. */
interface Problem {
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly close: boolean
}

type Fields = Readonly<Record<string, string>>

/** A request that is answered here, its response, and the id that finds its log lines. */
export interface Answerable {
  readonly raw: IncomingMessage
  readonly response: ServerResponse
  readonly id: string
  /** The client's address. */
  readonly ip: string | undefined
  /** One in which nothing names the request yet. */
  readonly log: RefusalLog
}

/** Where refusals are told: any logger of Fastify's. */
export type RefusalLog = Pick<FastifyBaseLogger, 'info'>

/** Answers a refused request, and logs that. `fields`: further response fields, e.g. `allow`. */
export function answerRefusal(to: Answerable, refusal: Refusal, fields?: Fields): void {
  if (isAnswered(to)) return
  const { status, detail, close = false, retryAfterSeconds } = answerFor(refusal)
  logRefusal(to.log, refusal, { requestId: to.id, ...requestLine(to.raw), address: to.ip })
  const retry = retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }
  answerProblem(to, { status, code: refusal, detail, close }, { ...retry, ...fields })
}

/** The id that a client is given leads somewhere (requirements J-04). */
function logRefusal(log: RefusalLog, refusal: Refusal, about: object): void {
  const { status, failed } = answerFor(refusal)
  if (!failed) log.info({ code: refusal, status, ...about }, 'request refused')
}

function requestLine({ method, url = '' }: Pick<IncomingMessage, 'method' | 'url'>) {
  return { method, path: loggedPath(url) }
}

/** Tells a proxy that asks about a request that it may not pass, for whatever reason: its connection goes on. */
export function answerForbidden(to: Answerable & { answerFields: Fields | null }, refusal: Refusal): void {
  if (isAnswered(to)) return
  const { detail } = answerFor(refusal)
  to.log.info(
    { code: refusal, status: 403, requestId: to.id, ...requestLine(to.raw), address: to.ip },
    'request refused',
  )
  answerProblem(to, { status: 403, code: refusal, detail, close: false }, to.answerFields ?? {})
}

/**
 * Answers with what the session check found, its challenge included (RFC 6750 §3).
 *
 * @param status in place of the error's own.
 */
export function answerOAuthError(
  to: Answerable,
  error: OAuthError,
  fields?: Fields,
  status: number = error.statusCode,
): void {
  const problem = {
    status,
    // RFC 6750 §3.1 has no error code for a request without a token; a program wants one all the same.
    code: error.error === '' ? error.reason : error.error,
    detail: error.message,
    close: false,
  }
  answerProblem(to, problem, { ...error.headers, ...fields })
}

/** Answers without a body. */
export function answerEmpty(to: Answerable, status: 204, fields: Fields): void {
  answer(to, { status, close: false }, Object.entries(fields).flat(), undefined)
}

/** Or nobody is there any more. */
function isAnswered({ response }: Answerable): boolean {
  return response.headersSent || response.destroyed
}

function answerProblem(to: Answerable, problem: Problem, fields: Fields = {}): void {
  if (isAnswered(to)) return
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

/**
 * The same answer where there is no response object: the parser gave up, or Node has given the connection away.
 *
 * @param request undefined: the parser made none.
 */
export function writeRefusal(
  socket: Socket,
  refusal: Refusal,
  log: RefusalLog,
  request?: IncomingMessage,
): void {
  // Node listens no longer on a connection that it has given away. A reset is followed by `close`.
  socket.on('error', () => {})
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const requestId = newRequestId()
  const address = socket.remoteAddress
  logRefusal(log, refusal, { requestId, ...(request && requestLine(request)), address })
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
