import type { PlannedRequest } from '../../load/plan.ts'
import { ask } from '../../measure/check.ts'

/** A request to the token endpoint. */
export function tokenRequest(body: string): PlannedRequest {
  const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' }
  return { method: 'POST', path: '/oauth2/token', headers, body }
}

/** @throws Error unless it is refused: a server that takes what nobody has given is no peer. */
export async function checkRefused(port: number, request: PlannedRequest): Promise<void> {
  const { status } = await ask(port, request)
  if (status < 400)
    throw new Error(`${request.method} ${request.path} with what nobody has given is ${status}`)
}
