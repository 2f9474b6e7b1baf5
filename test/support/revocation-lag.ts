import type { Instance, Instances } from './instances.ts'
import { type Answer, NativeApp } from './native-app.ts'

/** Over all rounds, from the answer of the revocation to the first refusal by the slowest other instance. */
export interface RevocationLag {
  readonly rounds: number
  readonly medianMs: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** Longer than any lag: the notification was not heard. */
const UNHEARD_MS = 3000

/**
 * Revokes `rounds` sessions, each on the first instance while every other one has it in its cache and is asked
 * for it again and again, until it refuses. What is measured includes one request: a refusal that is there at once takes that long.
 *
 * @throws Error when a session is still served after three seconds.
 */
export async function measureRevocationLag(stack: Instances, rounds: number): Promise<RevocationLag> {
  const app = new NativeApp(stack)
  const [first, ...others] = stack.instances as [Instance, ...Instance[]]
  const lags: number[] = []
  for (let round = 0; round < rounds; round++) {
    const { access_token } = await app.login({}, `user-${round}`)
    await Promise.all(stack.instances.map((instance) => expect(200, call(instance, access_token))))
    await expect(200, revoke(first, access_token))
    const revokedAt = performance.now()
    const refused = others.map(async (instance) => {
      while ((await call(instance, access_token)).status !== 401) {
        if (performance.now() - revokedAt > UNHEARD_MS) throw new Error('a revoked session is still served')
      }
      return performance.now() - revokedAt
    })
    lags.push(Math.max(...(await Promise.all(refused))))
  }
  lags.sort((one, other) => one - other)
  const at = (share: number) => rounded(lags[Math.min(lags.length - 1, Math.floor(lags.length * share))]!)
  return { rounds, medianMs: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

function call(instance: Instance, accessToken: string): Promise<Answer> {
  return instance.send('/api/orders', { headers: { authorization: `Bearer ${accessToken}` } })
}

function revoke(instance: Instance, token: string): Promise<Answer> {
  return instance.send('/oauth2/revoke', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ client_id: 'com.example.app', token }).toString(),
  })
}

async function expect(status: number, answering: Promise<Answer>): Promise<void> {
  const answer = await answering
  if (answer.status !== status) throw new Error(`${answer.status} instead of ${status}: ${answer.text}`)
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100
}
