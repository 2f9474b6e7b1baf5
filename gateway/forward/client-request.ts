import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import type { ProtectedRequest } from '../../plugin/index.ts'
import type { FieldRules } from '../http/fields.ts'
import type { Refusal } from '../http/refusals.ts'
import type { RequestFieldRule } from '../http/request-fields.ts'
import { answerRefusal } from '../listener/problem-details.ts'
import { RequestHeaders } from './headers/request-headers.ts'
import type { TrustedPeers } from './trusted-proxies.ts'

/** What all requests have in common. */
export interface Surroundings {
  readonly rules: FieldRules<RequestFieldRule>
  readonly peers: TrustedPeers
  readonly log: FastifyBaseLogger
}

const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE'])

/** A request on its way: as received, what its header says, and the response that it will get. */
export class ClientRequest implements ProtectedRequest {
  readonly raw: IncomingMessage
  readonly response: ServerResponse
  readonly id: string
  readonly headers: RequestHeaders
  /** Fields that the answer gets in any case, e.g. CORS; null for none. */
  answerFields: Readonly<Record<string, string>> | null = null
  readonly #surroundings: Surroundings

  constructor(raw: IncomingMessage, response: ServerResponse, surroundings: Surroundings) {
    this.raw = raw
    this.response = response
    this.id = randomUUID()
    this.headers = new RequestHeaders(raw, surroundings.rules)
    this.#surroundings = surroundings
  }

  /** True if it may be sent twice: idempotent (RFC 9110 §9.2.2, of those that are forwarded) and without a body. */
  get isRepeatable(): boolean {
    return !this.headers.hasBody && IDEMPOTENT.has(this.raw.method ?? '')
  }

  /** The client's address: the peer's, or what trusted proxies say. */
  get ip(): string {
    return this.#surroundings.peers.clientAddress(this.raw.socket, this.headers.forwardedFor)
  }

  get log(): FastifyBaseLogger {
    return this.#surroundings.log
  }

  refuse(refusal: Refusal, fields?: Readonly<Record<string, string>>): void {
    answerRefusal(this.raw, this.response, this.id, refusal, { ...this.answerFields, ...fields })
  }
}
