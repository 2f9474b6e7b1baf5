import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import { OAuthError } from '../oauth/errors.ts'
import type { ResolvedOptions } from '../options/resolved.ts'
import { limitedAddress } from './address.ts'
import { RateWindows, type SharedCounter } from './rate-windows.ts'

/** One limiter for all routes of the scope, by address, before any body is read (J-05, J-07). */
export async function limitRate(
  scope: FastifyInstance,
  { rateLimit: limits, store }: Pick<ResolvedOptions, 'rateLimit' | 'store'>,
  name: 'authorize' | 'token',
): Promise<void> {
  if (limits === false) return
  const group = limits[name]
  const shared = store.count ? (store as SharedCounter) : undefined
  await scope.register(rateLimit, {
    global: true,
    hook: 'onRequest',
    max: group.max,
    timeWindow: group.windowMs,
    keyGenerator: limitedAddress,
    // The library makes the store itself, from its class.
    store: class extends RateWindows {
      constructor() {
        super(name, shared)
      }
    },
    errorResponseBuilder: () => new OAuthError('rate_limited'),
  })
}
