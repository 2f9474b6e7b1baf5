import type { Pkce, Session } from '../../../plugin/index.ts'

/**
 * What every answer to a request with this session has, the upstream's and our own: who may read it (CORS), and the
 * nonce of the next proof where the token is bound to a key (RFC 9449 §8.2).
 *
 * @param session undefined: a public route. @returns null for nothing, as most requests have it.
 */
export function answerFields(
  sessions: Pick<Pkce, 'corsHeaders' | 'dpopHeaders'>,
  origin: string | undefined,
  session: Session | undefined,
): Readonly<Record<string, string>> | null {
  const isBound = session?.jkt !== undefined
  if (origin === undefined) return isBound ? sessions.dpopHeaders(session) : null
  const cors = sessions.corsHeaders(origin, session)
  return isBound ? { ...cors, ...sessions.dpopHeaders(session) } : cors
}
