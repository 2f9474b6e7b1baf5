import Fastify, {
  type FastifyBaseLogger,
  type FastifyLoggerOptions,
  type FastifyServerOptions,
} from 'fastify'
import { logSerializers } from '../../../plugin/index.ts'
import type { GatewayConfig } from '../../config/schemas/config.ts'
import { type ListenerLogging, NO_COMPILERS } from '../../listener/listener.ts'
import { type LogStream, standardLogSink } from './log-sink.ts'
import { RequestLog } from './request-log.ts'

/**
 * Fastify's `logger` option: JSON lines on `stream` (default: standard output), through the plugin's serializers, so that
 * no handle, code, header or body is in them (requirements J-01 to J-03).
 */
export function loggerOptions(
  level: GatewayConfig['log']['level'],
  stream: LogStream = logLines(process.stdout),
) {
  // Fastify's type requires a stack; an expected error has none worth a line.
  const serializers = logSerializers as NonNullable<FastifyLoggerOptions['serializers']>
  return { level, serializers, stream }
}

/** The same logger for the public listener, with one line for each request to an endpoint of the plugin. */
export function listenerLogging(...options: Parameters<typeof loggerOptions>): ListenerLogging {
  // Fastify's type wants more fields of a request and an error than we log.
  const logger = loggerOptions(...options) as FastifyServerOptions['logger'] & object
  return { logger, logController: new RequestLog() }
}

/** The same logger, for a process that serves nothing itself. */
export function processLog(...options: Parameters<typeof loggerOptions>): FastifyBaseLogger {
  const logger = loggerOptions(...options) as FastifyServerOptions['logger'] & object
  return Fastify({ ...NO_COMPILERS, logger }).log
}

/**
 * Standard output, as log lines are written to it: readable at a terminal, elsewhere as they are; those of the process
 * itself by way of its sink.
 */
export function logLines(stdout: LogStream & { readonly isTTY?: boolean }): LogStream {
  const lines = stdout === process.stdout ? standardLogSink() : stdout
  return stdout.isTTY ? readable(lines) : lines
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
export function readable(terminal: LogStream): LogStream {
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
