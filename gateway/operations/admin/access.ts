import { hash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import { type Answer, refusal } from './answer.ts'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** One line about refused requests in so long a time: who guesses must not fill the log. */
const LOG_EVERY_MS = 60_000

/** Whom the Admin API serves. */
export interface AccessOptions {
  /** The address on which the listener really listens. */
  readonly address: string
  /** `admin.host`: by this name it may be called, too. */
  readonly host: string
  /** As it is at the time: a reload may bring another. */
  readonly token: () => string | undefined
  readonly log: Pick<FastifyBaseLogger, 'warn'>
}

/**
 * Who may use the Admin API: with `admin.tokenFile` who brings that token; without it whoever is on this machine, and
 * nobody else. Pages in a browser on this machine are neither, whatever name they have given to its address.
 *
 * Source: requirements S-01; RFC 6750 §2.1, §3; Fetch §3.1 (Origin); W3C Fetch Metadata §2.3.
 */
export class Access {
  readonly #options: AccessOptions
  readonly #isLocal: boolean
  #refused = 0
  #loggedAt = Number.NEGATIVE_INFINITY

  constructor(options: AccessOptions) {
    this.#options = options
    this.#isLocal = isLoopback(options.address)
  }

  /**
   * The answer to a request that may not pass, or null.
   *
   * @param isOpenElsewhere true for what other machines may have as long as no token is set.
   */
  check(request: IncomingMessage, isOpenElsewhere = false): Answer | null {
    const found = this.#problemOf(request, isOpenElsewhere)
    if (found) this.#tell(request, found.reason)
    return found === null ? null : found.answer
  }

  #problemOf(
    { headers }: IncomingMessage,
    isOpenElsewhere: boolean,
  ): { reason: string; answer: Answer } | null {
    const site = headers['sec-fetch-site']
    if (headers.origin !== undefined || (site !== undefined && site !== 'none')) {
      return refused('web page', 'web pages may not call this: ask with a program, without Origin')
    }
    const token = this.#options.token()
    if (token !== undefined) {
      if (isBearer(headers.authorization, token)) return null
      const answer = refusal(401, 'Authorization: Bearer with the token in admin.tokenFile is required')
      return { reason: 'token', answer: { ...answer, headers: { 'www-authenticate': 'Bearer' } } }
    }
    if (!this.#isLocal) {
      if (isOpenElsewhere) return null
      return refused(
        'no token is set',
        'admin.tokenFile is not set, and admin.host is no loopback address: set one of them so',
      )
    }
    return this.#isOurs(headers.host)
      ? null
      : refused('host', 'Host names another machine: use localhost, 127.0.0.1 or admin.host')
  }

  /** A page of another site, whose name suddenly stands for 127.0.0.1, sends its own name (DNS rebinding). */
  #isOurs(host: string | undefined): boolean {
    const name = /^(.*?)(?::[0-9]+)?$/.exec(host?.toLowerCase() ?? '')?.[1]?.replaceAll(/[[\]]/g, '')
    if (name === undefined || name === '') return false
    return name === 'localhost' || name === this.#options.host.toLowerCase() || isLoopback(name)
  }

  #tell({ socket }: IncomingMessage, reason: string): void {
    this.#refused++
    const now = performance.now()
    if (now - this.#loggedAt < LOG_EVERY_MS) return
    this.#loggedAt = now
    const line = { reason, address: socket.remoteAddress, count: this.#refused }
    this.#options.log.warn(line, 'requests to the Admin API were refused')
    this.#refused = 0
  }
}

function refused(reason: string, message: string): { reason: string; answer: Answer } {
  return { reason, answer: refusal(403, message) }
}

/** Takes as long for any token as for any other. */
function isBearer(authorization: string | undefined, token: string): boolean {
  const [, given] = /^bearer +(\S+)$/i.exec(authorization ?? '') ?? []
  return given !== undefined && timingSafeEqual(digest(given), digest(token))
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}

/** False for names: what they stand for is somebody else's to say. */
export function isLoopback(address: string): boolean {
  const family = isIP(address)
  if (family === 0) return false
  return LOOPBACK.check(address, family === 6 ? 'ipv6' : 'ipv4')
}
