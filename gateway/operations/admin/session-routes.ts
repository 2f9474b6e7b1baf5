import type { SessionSummary } from '../../../plugin/index.ts'
import { type Answer, refusal } from './answer.ts'
import type { SessionOutcome, SessionRequest } from './sessions.ts'

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 1000
const GRANT_ID = /^[A-Za-z0-9_-]{22}$/

type Parameters = Readonly<Record<string, string>>
type Manage = (request: SessionRequest) => Promise<SessionOutcome>

/** GET: a page of a subject's sessions, or what a log line means. @param query without `?`. */
export async function listSessions(query: string, manage: Manage): Promise<Answer> {
  const parameters = parametersOf(query, ['subject', 'grant', 'issuer', 'limit', 'cursor'])
  if (typeof parameters === 'string') return refusal(400, parameters)
  const { subject, grant, issuer, cursor, limit = String(LIMIT_DEFAULT) } = parameters
  if (!/^[1-9][0-9]{0,3}$/.test(limit) || Number(limit) > LIMIT_MAX) {
    return refusal(400, `limit must be 1 to ${LIMIT_MAX}`)
  }
  if (cursor !== undefined && !GRANT_ID.test(cursor)) {
    return refusal(400, 'cursor must be the `next` of the page before')
  }
  const of = subject ?? { grant: grant! }
  return answerTo(
    await manage({ action: 'list', query: { of, issuer, after: cursor, limit: Number(limit) } }),
  )
}

/** DELETE: all of a subject's sessions, or the one that a log line means. @param query without `?`. */
export async function endSessions(query: string, manage: Manage): Promise<Answer> {
  const parameters = parametersOf(query, ['subject', 'grant', 'issuer'])
  if (typeof parameters === 'string') return refusal(400, parameters)
  const { subject, grant, issuer } = parameters
  const target =
    subject === undefined ? { grant: grant! } : { subject, ...(issuer !== undefined && { issuer }) }
  return answerTo(await manage({ action: 'end', target }))
}

/** DELETE: one session. @param grantId as it stands in the path. */
export async function endOneSession(grantId: string, manage: Manage): Promise<Answer> {
  const unknown = refusal(404, 'no live session has this id')
  if (!GRANT_ID.test(grantId)) return unknown
  const outcome = await manage({ action: 'end', target: { grantId } })
  return 'ended' in outcome && outcome.ended === 0 ? unknown : answerTo(outcome)
}

/** What is not understood must not be left out: it may have narrowed what is ended. */
function parametersOf(query: string, known: readonly string[]): Parameters | string {
  const parameters: Record<string, string> = {}
  for (const [name, value] of new URLSearchParams(query)) {
    if (!known.includes(name))
      return `${JSON.stringify(name)} is not known here; it may be ${known.join(', ')}`
    if (parameters[name] !== undefined) return `${name} is given twice`
    if (value === '') return `${name} must not be empty`
    parameters[name] = value
  }
  const { subject, grant, issuer } = parameters
  if (subject === undefined && grant === undefined) {
    return 'subject is required, or grant, the 8 digits of a log line: /sessions?subject=alice'
  }
  if (grant === undefined) return parameters
  if (subject !== undefined || issuer !== undefined) return 'grant stands alone: it names one session'
  return /^[0-9a-f]{8}$/.test(grant) ? parameters : 'grant must be the 8 hexadecimal digits of a log line'
}

function answerTo(outcome: SessionOutcome): Answer {
  if ('ended' in outcome) return { status: 200, body: outcome }
  if ('sessions' in outcome) {
    return { status: 200, body: { ...outcome, sessions: outcome.sessions.map(withTimes) } }
  }
  const { refused, message } = outcome
  return refused === 'target'
    ? refusal(400, message)
    : { ...refusal(503, message), headers: { 'retry-after': '1' } }
}

/** For people, too. */
function withTimes({ createdAt, expiresAt, ...session }: SessionSummary) {
  const time = (ms: number) => new Date(ms).toISOString()
  return { ...session, createdAt: time(createdAt), expiresAt: time(expiresAt) }
}
