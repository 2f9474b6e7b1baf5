import type { FastifyBaseLogger } from 'fastify'
import { correlationId, loggedClientId } from '../../../plugin/api/internal.ts'
import type { Session } from '../../../plugin/index.ts'
import type { GatewayConfig } from '../../config/schemas/config.ts'
import type { AccessLog, RequestRecord } from '../../forward/exchange/request-record.ts'

/** Who is calling, as far as the log may say it. */
interface LoggedSession {
  readonly clientId: string
  readonly grant: string
  readonly subject: string | undefined
}

/**
 * One line for each forwarded request, when it is over, or only for those that end in an error: of the client (4xx),
 * of the upstream (5xx), or in the midst of the response.
 *
 * @param log           its level plays no part, unless that is `silent`: `log.requests` is a switch of its own.
 * @param loggedSubject how the plugin names a subject in the log (`log.subject`).
 * @returns undefined for `off`. Source: requirements Q-01, J-04.
 */
export function createAccessLog(
  { requests, level }: Pick<GatewayConfig['log'], 'requests' | 'level'>,
  log: FastifyBaseLogger,
  loggedSubject: (subject: string, issuer: string) => string | undefined,
): AccessLog | undefined {
  if (requests === 'off' || level === 'silent') return undefined
  const lines = log.child({}, { level: 'info' })
  const sessions = new WeakMap<Session, LoggedSession>()

  function logged(session: Session): LoggedSession {
    let known = sessions.get(session)
    if (known === undefined) {
      const { clientId, grantId, issuer, subject } = session
      known = {
        clientId: loggedClientId(clientId),
        grant: correlationId(grantId),
        subject: loggedSubject(subject, issuer),
      }
      sessions.set(session, known)
    }
    return known
  }

  return {
    ended(record) {
      if (requests === 'errors' && record.status < 400 && !record.isBroken) return
      lines.info(lineOf(record, record.session && logged(record.session)), 'request forwarded')
    },
  }
}

/** pino leaves out what is undefined; an object of one form costs it half of what spreads would. */
function lineOf(record: RequestRecord, session: LoggedSession | undefined): object {
  const { request, route, status, upstreamMs, target } = record
  return {
    requestId: request.id,
    method: request.raw.method,
    route: route.name,
    status,
    complete: !record.isComplete && status < 400 ? false : undefined,
    bytesIn: record.bytesFromClient,
    bytesOut: record.bytesToClient,
    durationMs: tenths(record.durationMs),
    upstreamMs: upstreamMs === undefined ? undefined : tenths(upstreamMs),
    target: target === '' ? undefined : target,
    clientId: session?.clientId,
    grant: session?.grant,
    subject: session?.subject,
    address: record.address,
  }
}

function tenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10
}
