import type { ConfigProblem } from '../../oauth/errors.ts'

/**
 * `NODE_TLS_REJECT_UNAUTHORIZED=0` does not reach our connections to the provider, but it does reach everything
 * else in the process: refused in production, loudly named elsewhere (F-07, RFC 9700 §2.6).
 */
export function environmentProblems(
  environment: NodeJS.ProcessEnv,
  log: { warn: (fields: object, message: string) => void },
): ConfigProblem[] {
  if (environment.NODE_TLS_REJECT_UNAUTHORIZED !== '0') return []
  const problem = 'is 0, which turns certificate checks off; name a private CA in NODE_EXTRA_CA_CERTS instead'
  if (environment.NODE_ENV === 'production') return [{ path: ['NODE_TLS_REJECT_UNAUTHORIZED'], problem }]
  log.warn({}, `NODE_TLS_REJECT_UNAUTHORIZED ${problem}`)
  return []
}
