/** Where a target of an upstream is, and what it is called. */
export interface TargetAddress {
  /** Scheme, host and port. Of a socket: `http://localhost`, because HTTP needs a name. */
  readonly origin: string
  readonly hostname: string
  /** Its own Host value (RFC 9110 §7.2). */
  readonly host: string
  /** Its base path, without a trailing slash: `''` for none. */
  readonly base: string
  /** Absolute name of a socket of this machine, in the place of an address. */
  readonly socketPath: string | undefined
}

const HTTP_TARGET = /^https?:\/\/[^/?#@\\]+(\/[^?#]*)?$/
/** Nothing but the colon can end the name of the socket. */
const SOCKET_TARGET = /^unix:(?:\/\/)?(\/[^:?#]*[^:?#/])(?::(\/[^?#]*))?$/
/** Of `sockaddr_un.sun_path`, without its final NUL. A longer name is cut off in silence by some systems. */
export const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103

/**
 * Reads a configured target: `http(s)://host:port/base`, or `unix:/run/orders.sock:/base`.
 *
 * @returns undefined for what is neither.
 */
export function targetAddress(target: string): TargetAddress | undefined {
  const [socket, socketPath, socketBase = ''] = SOCKET_TARGET.exec(target) ?? []
  if (socket !== undefined && socketPath !== undefined) {
    if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) return undefined
    const base = withoutSlash(socketBase)
    return { origin: 'http://localhost', hostname: 'localhost', host: 'localhost', base, socketPath }
  }
  const [http, base = ''] = HTTP_TARGET.exec(target) ?? []
  if (http === undefined || !URL.canParse(target)) return undefined
  const { origin, hostname, host } = new URL(target)
  return { origin, hostname, host, base: withoutSlash(base), socketPath: undefined }
}

function withoutSlash(path: string): string {
  return path.replace(/\/$/, '')
}
