import type { FastifyInstance } from 'fastify'
import {
  type SessionPage,
  type SessionQuery,
  sessionPageOf,
  TargetError,
} from '../../../plugin/api/internal.ts'
import { StoreError } from '../../../plugin/index.ts'

/** What an operator asks of the sessions. Plain data: another process may be the one that can answer. */
export type SessionRequest =
  | { readonly action: 'list'; readonly query: SessionQuery }
  | { readonly action: 'end'; readonly target: SessionTarget }

/** One session, or all of a subject's at a provider. */
export type SessionTarget =
  | { readonly grantId: string }
  /** What the log calls it. */
  | { readonly grant: string }
  | { readonly subject: string; readonly issuer?: string }

/** The answer, as plain data. */
export type SessionOutcome =
  | SessionPage
  | { readonly ended: number }
  /** `target`: it cannot be told who is meant. `unavailable`: nobody can tell now; some may have been ended. */
  | { readonly refused: 'target' | 'unavailable'; readonly message: string }

/** Does it in an app that has loaded the plugin. Never rejects. Source: requirements S-01. */
export async function manageSessions(app: FastifyInstance, request: SessionRequest): Promise<SessionOutcome> {
  try {
    if (request.action === 'end') return { ended: await app.pkce.endSession(request.target) }
    return await sessionPageOf(app, request.query)
  } catch (error) {
    if (error instanceof TargetError) return { refused: 'target', message: error.message }
    if (error instanceof StoreError) return { refused: 'unavailable', message: error.message }
    app.log.error({ err: error }, 'sessions could not be listed or ended')
    return { refused: 'unavailable', message: "it failed; the gateway's log says why" }
  }
}
