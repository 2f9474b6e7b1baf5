/** One HTTP request, to be sent over and over. */
export interface PlannedRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** ASCII. */
  readonly body?: string
}

/** What makes the load: our own client, or one that everybody knows. */
export type Generator = 'ours' | 'wrk' | 'autocannon'

/**
 * How the requests come. `repeat`: each connection sends the next one as soon as it has its answer · `once`: the
 * same, but no request is sent twice; the first third is the warm-up · `paced`: as `repeat` for the warm-up, then
 * at half the rate reached · `slow`: as `repeat`, but the answers are read slowly · `events`: each connection reads
 * an event stream, and a request is an event · `echo`: each is a WebSocket, and a request is a message and its echo ·
 * `idle-…`: so many connections, event streams or WebSockets are opened, used once, and held · `start`, `restart`: no
 * load at all, the server is started, for the second time where its cache is to be warm.
 */
export type Mode =
  | 'repeat'
  | 'once'
  | 'paced'
  | 'slow'
  | 'events'
  | 'echo'
  | 'idle-connections'
  | 'idle-events'
  | 'idle-echo'
  | 'start'
  | 'restart'

/** How connections are made where each request has its own: with a whole handshake, or with the session of the last one. */
export type Handshakes = 'full' | 'resumed'

/** What the server speaks where it speaks TLS. */
export interface Secure {
  readonly protocol: 'http/1.1' | 'h2'
  /** Of the one that is trusted: PEM. */
  readonly certificate: string
}

/** What the load's process is told. */
export interface LoadPlan {
  readonly generator: Generator
  readonly port: number
  /** Undefined: no TLS. */
  readonly secure?: Secure
  /** Undefined: connections are kept. */
  readonly handshakes?: Handshakes
  readonly connections: number
  readonly mode: Mode
  readonly warmUpSeconds: number
  /** Of what is measured. */
  readonly seconds: number
  readonly requests: readonly PlannedRequest[]
  /** The order of the requests, by their indexes, for our own client; without it, as they stand. It is repeated. */
  readonly order?: readonly number[]
  /** So many requests are sent before the warm-up, one after another, by our own client in the mode `repeat`. */
  readonly before?: number
  /** Length of the upload behind every head, instead of a `body`. */
  readonly uploadBytes: number
  readonly status: number
  /** The body of every answer, if it is always the same: a length of `body()`, or the text itself. */
  readonly answer?: number | string
  /** The processes whose CPU time and memory are counted, with their children. */
  readonly processes: readonly number[]
  /** The core they are pinned to, or null. */
  readonly core: string | null
}

/** Nanoseconds. */
export interface Latency {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** What the load's process has seen. */
export interface LoadResult {
  readonly requests: number
  /** Wrong status, wrong body, broken connections, timeouts. One is enough to make the slice void. */
  readonly errors: number
  /** What the first ones were. */
  readonly errorTexts: readonly string[]
  readonly seconds: number
  /** Of bodies, received; counted by our own client alone. */
  readonly bytes?: number
  readonly latency: Latency
  /** Requests per second that `paced` sent. */
  readonly pace?: number
  /** Of the server, in the measured time; undefined if the system does not tell. */
  readonly cpuNanoseconds?: number
  /** Of the time of its core, used by others: such a slice is disturbed. */
  readonly foreignShare?: number
  /** Bytes resident before the first request, after the warm-up, and the peak in the measured time. */
  readonly memory: { readonly idle: number; readonly warm: number; readonly peak: number }
  /** Of `idle-…`: what the memory of the server has grown by, for each connection. */
  readonly bytesPerConnection?: number
}

/** A request as it goes over the wire, without its upload. */
export function wireFormat(request: PlannedRequest, port: number, uploadBytes = 0): string {
  const { method, path, headers, body = '' } = request
  const length = body.length + uploadBytes
  const fields = Object.entries({
    host: `127.0.0.1:${port}`,
    ...headers,
    ...(method === 'POST' && { 'content-length': String(length) }),
  })
  return `${method} ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}
