/** What the gateway writes to its log: whitelisted fields, so that no handle, code, header or body is in it. */

type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

const MAX_TEXT = 1024
const MAX_STACK = 8192

/**
 * Fastify's `logger` option: JSON lines on `stream` (default stdout).
 *
 * Source: requirements J-01, J-02, J-03. A request is logged without its query (it carries codes and states)
 * and without headers; an error without the properties that libraries hang on it (bodies, headers, options).
 */
export function loggerOptions(level: LogLevel, stream?: { write(line: string): void }) {
  return {
    level,
    serializers: { req: requestFields, res: responseFields, err: errorFields },
    ...(stream && { stream }),
  }
}

interface LoggedRequest {
  readonly id?: unknown
  readonly method?: string
  readonly url?: string
  readonly ip?: string
  readonly socket?: { readonly remoteAddress?: string | undefined }
}

/** A request as it is logged. The address is that of the peer, or of the client behind a trusted proxy. */
export function requestFields(request: LoggedRequest) {
  return {
    id: request.id,
    method: request.method,
    path: pathOf(request.url),
    remoteAddress: request.ip ?? request.socket?.remoteAddress,
  }
}

/** An answer as it is logged. */
export function responseFields(reply: { readonly statusCode?: number }) {
  return { statusCode: reply.statusCode }
}

/** An error as it is logged; the stack only where nobody expected it. */
export function errorFields(thrown: unknown) {
  if (!(thrown instanceof Error)) return { type: typeof thrown }
  const { code, reason, statusCode } = thrown as { code?: unknown; reason?: unknown; statusCode?: unknown }
  const expected = reason !== undefined || (typeof statusCode === 'number' && statusCode < 500)
  return {
    type: thrown.name,
    code: word(code),
    reason: word(reason),
    message: thrown.message.slice(0, MAX_TEXT),
    statusCode: typeof statusCode === 'number' ? statusCode : undefined,
    cause: causeOf(thrown),
    stack: expected ? undefined : thrown.stack?.slice(0, MAX_STACK),
  }
}

/** An absolute-form target may name credentials, so only the path of an origin-form one is shown. */
function pathOf(url: string | undefined): string | undefined {
  return url?.startsWith('/') ? url.replace(/[?#].*$/s, '').slice(0, MAX_TEXT) : undefined
}

/** The stable code of the nearest cause that has one, e.g. ECONNREFUSED: a cause's message may quote a body. */
function causeOf(error: Error): string | undefined {
  let cause = error.cause
  for (let depth = 0; depth < 5 && cause instanceof Error; depth++) {
    const code = word((cause as { code?: unknown }).code)
    if (code !== undefined) return code
    cause = cause.cause
  }
  return undefined
}

function word(value: unknown): string | undefined {
  return typeof value === 'string' && /^\w{1,64}$/.test(value) ? value : undefined
}

const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
}

/** For a person at a terminal: `12:00:01 info  message key=value`, one line for each JSON line. */
export function readable(terminal: { write(text: string): unknown }) {
  return {
    write(line: string): void {
      const { level, time, msg = '', pid: _pid, hostname: _hostname, ...rest } = JSON.parse(line)
      const clock = new Date(time).toTimeString().slice(0, 8)
      const fields = Object.entries(flat(rest)).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`)
      terminal.write(`${clock} ${(LEVELS[level] ?? '').padEnd(5)} ${msg}${fields.join('')}\n`)
    },
  }
}

/** `{ req: { path } }` as `{ 'req.path' }`. */
function flat(fields: object, prefix = ''): Record<string, unknown> {
  return Object.assign(
    {},
    ...Object.entries(fields).map(([key, value]) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? flat(value, `${prefix}${key}.`)
        : { [prefix + key]: value },
    ),
  )
}
