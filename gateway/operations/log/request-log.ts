import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { isAudited } from '../../../plugin/api/internal.ts'

/**
 * One line for each request to one of the plugin's endpoints, when it has been answered: what was asked, the answer's
 * status, and how long it took. One that has succeeded and that the audit trail tells of has its line there. Requests to
 * upstreams have those of `access-log.ts`.
 */
export class RequestLog extends Fastify.LogController {
  constructor() {
    // As it is called in every other line.
    super({ requestIdLogLabel: 'requestId' })
  }

  override incomingRequest(): void {}

  override requestCompleted(error: Error | null, request: FastifyRequest, reply: FastifyReply): void {
    if (!error && reply.statusCode < 400 && isAudited(request)) return
    const line = { req: request, res: reply, responseTime: reply.elapsedTime }
    if (error) request.log.error({ ...line, err: error }, 'request errored')
    else request.log.info(line, 'request completed')
  }
}
