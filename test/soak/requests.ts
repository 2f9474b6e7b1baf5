import type { Answer } from '../support/native-app.ts'

/** A request that got no answer, because the instance or its connection ended. */
export type Broken = 'broken off'
export type Result = Answer | Broken

export function patiently(request: () => Promise<Answer>): Promise<Result> {
  return request().catch(() => 'broken off' as const)
}

export function isStatus(result: Result, status: number): result is Answer {
  return result !== 'broken off' && result.status === status
}
