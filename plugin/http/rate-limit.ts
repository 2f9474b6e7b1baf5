import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import { OAuthError } from '../oauth/errors.ts'
import type { ResolvedOptions } from '../options/resolved.ts'
import { limitedAddress } from './address.ts'
import { RateWindows, type SharedCounter } from './rate-windows.ts'

/** What has been counted, by the name of its limiter. It outlives the scopes that count. */
export type RateCounts = Map<string, RateWindows>

/** One limiter for all routes of the scope, by address, before any body is read (J-05, J-07). */
export async function limitRate(
  scope: FastifyInstance,
  { rateLimit: limits, store }: Pick<ResolvedOptions, 'rateLimit' | 'store'>,
  name: 'authorize' | 'token' | 'register' | 'logout',
  counts: RateCounts,
): Promise<void> {
  if (limits === false) return
  const group = limits[name]
  const windows =
    counts.get(name) ?? new RateWindows(name, store.count ? (store as SharedCounter) : undefined)
  counts.set(name, windows)
  await scope.register(rateLimit, {
    global: true,
    hook: 'onRequest',
    max: group.max,
    timeWindow: group.windowMs,
    keyGenerator: limitedAddress,
    // The library makes the store itself, from its class.
    store: class {
      constructor() {
        // biome-ignore lint/correctness/noConstructorReturn: it has been counting since before.
        return windows
      }
    } as never,
    errorResponseBuilder: () => new OAuthError('rate_limited'),
  })
}
