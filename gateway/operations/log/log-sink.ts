import { constants, openSync, writeSync } from 'node:fs'

/** Where log lines go. */
export interface LogStream {
  write(line: string): unknown
}

/** Of lines that wait for a reader, in characters: about 3,000 lines. */
const MAX_WAITING = 1024 * 1024
/** Of one write: what a pipe takes whole, so that the lines of several workers do not mix (pipe(7), PIPE_BUF). */
const MAX_WRITE = 4096
/** Lines that are written and not yet forgotten. */
const MAX_WRITTEN = 1000
/** Before a full pipe is tried again. */
const RETRY_MS = 20
/** Between two words about lost lines; the first is said sooner. */
const TELL_INTERVAL_MS = 60_000
const FIRST_TELL_MS = 1000
/** What waits at a stop is waited for. */
const DRAIN_MS = 1000
const NEWLINE = 10
const UNREAD = 'its reader does not read'

/** What a sink writes with, and where it tells that lines are lost. */
export interface LogSinkOptions {
  /** Returns how many bytes were taken, at once. @throws EAGAIN when there is no room now; others for a failure. */
  readonly write: (bytes: Buffer) => number
  /** Default: nowhere. */
  readonly tell?: (message: string) => void
}

/**
 * Takes log lines, whatever becomes of them. All lines of one turn of the event loop are written together, without
 * waiting. What a slow reader leaves waits, up to a bound; what cannot be written is dropped and counted. A sink that
 * works again is used again. Source: requirements Q-02.
 */
export class LogSink implements LogStream {
  /** Lines that were dropped since the start. */
  dropped = 0
  readonly #options: LogSinkOptions
  #lines: string[] = []
  /** The next line to be written. */
  #next = 0
  #waiting = 0
  #isScheduled = false
  /** Of a write that was taken in part. */
  #rest: Buffer | null = null
  /** The last thing that was written is part of a line. */
  #isTorn = false
  #retry: NodeJS.Timeout | null = null
  #untold = 0
  #reason = ''
  #toldAt = Number.NEGATIVE_INFINITY
  #telling: NodeJS.Timeout | null = null

  constructor(options: LogSinkOptions) {
    this.#options = options
  }

  write(line: string): void {
    if (this.#waiting + line.length > MAX_WAITING) {
      this.#drop(1, UNREAD)
      return
    }
    this.#lines.push(line)
    this.#waiting += line.length
    if (this.#isScheduled || this.#retry !== null) return
    this.#isScheduled = true
    setImmediate(() => this.flushSync())
  }

  /** Writes what can be written without waiting. pino asks for it after a line of level fatal. */
  flushSync(): void {
    this.#isScheduled = false
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#retry = null
    for (let bytes = this.#take(); bytes !== null; bytes = this.#take()) {
      const taken = this.#write(bytes)
      if (taken === 0) {
        this.#rest = bytes
        this.#retry = setTimeout(() => this.flushSync(), RETRY_MS).unref()
        return
      }
      if (taken < bytes.length) this.#rest = bytes.subarray(taken)
    }
  }

  /** Resolves when everything is written, or was waited for long enough. */
  async drained(): Promise<void> {
    const end = performance.now() + DRAIN_MS
    this.flushSync()
    while (this.#rest !== null && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }

  /** The end of the process: writes what can be written, and tells what was lost. */
  end(): void {
    this.flushSync()
    const rest = this.#rest === null ? 0 : linesIn(this.#rest)
    const left = rest + this.#lines.length - this.#next
    if (left > 0) this.#drop(left, UNREAD)
    if (this.#untold > 0) this.#tell()
  }

  /** How many bytes are done with; 0: there is no room now. */
  #write(bytes: Buffer): number {
    try {
      const taken = this.#options.write(bytes)
      if (taken > 0) this.#isTorn = bytes[taken - 1] !== NEWLINE
      return taken
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException
      if (code === 'EAGAIN') return 0
      this.#drop(linesIn(bytes), code)
      return bytes.length
    }
  }

  /** What is written next: the rest of a write, or as many lines as a pipe takes whole. */
  #take(): Buffer | null {
    const rest = this.#rest
    this.#rest = null
    if (rest !== null) return rest
    // Nobody shall take the line for the end of the one that was torn.
    let text = this.#isTorn ? '\n' : ''
    const from = this.#next
    for (; this.#next < this.#lines.length; this.#next++) {
      const line = this.#lines[this.#next]!
      if (this.#next > from && text.length + line.length > MAX_WRITE) break
      text += line
      this.#waiting -= line.length
    }
    const isEmpty = this.#next === from
    if (isEmpty || this.#next > MAX_WRITTEN) {
      this.#lines.splice(0, this.#next)
      this.#next = 0
    }
    return isEmpty ? null : Buffer.from(text)
  }

  #drop(lines: number, reason: string): void {
    this.dropped += lines
    this.#untold += lines
    this.#reason = reason
    if (this.#telling !== null) return
    const pauseMs = Math.max(FIRST_TELL_MS, this.#toldAt + TELL_INTERVAL_MS - performance.now())
    this.#telling = setTimeout(() => this.#tell(), pauseMs).unref()
  }

  #tell(): void {
    if (this.#telling !== null) clearTimeout(this.#telling)
    this.#telling = null
    this.#toldAt = performance.now()
    const lines = this.#untold === 1 ? '1 log line was' : `${this.#untold} log lines were`
    this.#untold = 0
    this.#options.tell?.(
      `pkce-gateway: ${lines} lost (process ${process.pid}): standard output: ${this.#reason}\n`,
    )
  }
}

/** Those that end here. One at the very beginning is ours. */
function linesIn(bytes: Buffer): number {
  return bytes.filter((byte, at) => byte === NEWLINE && at > 0).length
}

let standard: LogSink | undefined

/** Lines that this process's standard output did not take. */
export function droppedLogLines(): number {
  return standard?.dropped ?? 0
}

/** The sink of this process, on its standard output; what it loses is told on standard error. */
export function standardLogSink(): LogSink {
  if (standard !== undefined) return standard
  const errors = new LogSink({ write: writerTo(process.stderr, 2) })
  const lines = new LogSink({
    write: writerTo(process.stdout, 1),
    tell: (message) => errors.write(message),
  })
  standard = lines
  // A limit of the size of files (RLIMIT_FSIZE) is an error of the write, and by default a signal that ends the process.
  process.on('SIGXFSZ', () => {})
  process.on('exit', () => {
    lines.end()
    errors.end()
  })
  return lines
}

/**
 * Writes past Node's stream, which would keep without a bound what is not read, and gives up for ever after an error.
 *
 * @param stream made by Node, which has put a pipe or a socket of the descriptor into the mode in which nothing waits.
 */
function writerTo(stream: NodeJS.WriteStream, descriptor: number): LogSinkOptions['write'] {
  // Others may write to it, e.g. a usage message, and its reader may be gone.
  stream.on('error', () => {})
  const target = stream.isTTY ? openTerminal(descriptor) : descriptor
  return (bytes) => writeSync(target, bytes)
}

/** A terminal may be stopped (Ctrl-S), and Node writes to one with waiting; opened again it has a mode of its own. */
function openTerminal(descriptor: number): number {
  try {
    return openSync(
      `/dev/fd/${descriptor}`,
      constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK | constants.O_NOCTTY,
    )
  } catch {
    return descriptor
  }
}
