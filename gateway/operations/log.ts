import Fastify, {
  type FastifyBaseLogger,
  type FastifyLoggerOptions,
  type FastifyServerOptions,
} from 'fastify'
import { logSerializers } from '../../plugin/index.ts'
import type { GatewayConfig } from '../config/schemas/gateway.ts'
import type { ListenerLogging } from '../listener/listener.ts'
import { RequestLog } from './request-log.ts'

/**
 * Fastify's `logger` option: JSON lines on `stream` (default stdout), through the plugin's serializers, so that
 * no handle, code, header or body is in them (requirements J-01 to J-03).
 */
export function loggerOptions(level: GatewayConfig['log']['level'], stream?: LogStream) {
  // Fastify's type insists on a stack; an expected error has none worth a line.
  const serializers = logSerializers as NonNullable<FastifyLoggerOptions['serializers']>
  return { level, serializers, ...(stream && { stream }), ...(stream?.flush && { hooks: flushing(stream) }) }
}

/** Where log lines go. */
export interface LogStream {
  write(line: string): void
  /** Writes what it has kept back; absent if it keeps nothing. */
  flush?(): void
}

/** What goes wrong may be the last that the process can tell: a line above `info` is written at once. */
function flushing(stream: LogStream) {
  return {
    logMethod(this: unknown, args: unknown[], method: (...args: unknown[]) => void, level: number) {
      method.apply(this, args)
      if (level > INFO) stream.flush?.()
    },
  }
}

/** pino's number of the level. */
const INFO = 30

/** The same logger for the public listener, with one line for each request to an endpoint of the plugin. */
export function listenerLogging(...options: Parameters<typeof loggerOptions>): ListenerLogging {
  // Fastify's type wants more fields of a request and an error than we log.
  const logger = loggerOptions(...options) as FastifyServerOptions['logger'] & object
  return { logger, logController: new RequestLog() }
}

/** The same logger, for a process that serves nothing itself. */
export function processLog(...options: Parameters<typeof loggerOptions>): FastifyBaseLogger {
  return Fastify({ logger: loggerOptions(...options) as FastifyServerOptions['logger'] & object }).log
}

/** Standard output, as log lines are written to it: readable at a terminal, elsewhere many at a time. */
export function logLines(stdout: { write(text: string): unknown; readonly isTTY?: boolean }): LogStream {
  return stdout.isTTY ? readable(stdout) : joined(stdout)
}

/** Writes the lines of one turn of the event loop together, because each write costs as much as a line. */
function joined(stdout: { write(text: string): unknown }): LogStream {
  let lines = ''
  const flush = () => {
    process.off('exit', flush)
    const text = lines
    lines = ''
    if (text !== '') stdout.write(text)
  }
  return {
    write(line: string): void {
      if (lines === '') {
        setImmediate(flush)
        process.once('exit', flush)
      }
      lines += line
    },
    flush,
  }
}

const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
}

/** A terminal obeys these, and a log line may quote a stranger (requirements J-03). */
const CONTROL = /\p{Cc}/gu

/** For a person at a terminal: `12:00:01 info  message key=value`, one line for each JSON line. */
export function readable(terminal: { write(text: string): unknown }) {
  return {
    write(line: string): void {
      const { level, time, msg = '', pid: _pid, hostname: _hostname, ...rest } = JSON.parse(line)
      const clock = new Date(time).toTimeString().slice(0, 8)
      const fields = Object.entries(flat(rest)).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`)
      const text = `${clock} ${(LEVELS[level] ?? '').padEnd(5)} ${msg}${fields.join('')}`
      terminal.write(`${text.replaceAll(CONTROL, ' ')}\n`)
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
