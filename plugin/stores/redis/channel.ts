import { setTimeout as sleep } from 'node:timers/promises'
import { BEAT_INTERVAL_MS, Channel, type ChannelEvents } from '../channel.ts'
import { within } from '../within.ts'
import type { RedisClient, RedisCommands } from './commands.ts'
import { isMissingPermission } from './failure.ts'
import type { RedisNames } from './names.ts'
import { type Subscription, subscriptions } from './subscription.ts'

/** For a beat to come round. */
const STEP_MS = 1000
const RETRY_MS = 250
/**
 * For the channel to stand for the first time, tried anew as often as it breaks: nobody waits for an answer yet.
 * It is half of what Fastify gives a plugin.
 */
const START_MS = 5000

/**
 * The channel through Redis' pub/sub. It is proved by beats. When any part of it breaks, it is thrown away as a
 * whole: the masters may have changed.
 */
export function createRedisChannel(client: RedisClient, commands: RedisCommands, names: RedisNames): Channel {
  let hasStood = false

  return new Channel({
    store: 'redis',
    now: () => commands.clock.now(),
    hold,
    wait: (standing) => commands.within('watch', standing, hasStood ? undefined : START_MS),
    // Whoever waits for anything else is told by the deadline: a failover takes more than one try.
    isFinal: isMissingPermission,
    pauseMs: () => RETRY_MS,
  })

  async function hold({ onStand, onChange }: ChannelEvents, ended: AbortSignal): Promise<never> {
    const broken = new AbortController()
    const signal = AbortSignal.any([ended, broken.signal])
    let parts: Subscription[] = []
    try {
      await commands.within('watch', async () => {
        parts = subscriptions(client, names, STEP_MS)
      })
      const onBreak = () => broken.abort()
      await within(STEP_MS, Promise.all(parts.map((part) => part.open(onChange, onBreak))), signal)
      for (;;) {
        await within(STEP_MS, Promise.all(parts.map((part) => part.beat(commands))), signal)
        hasStood = true
        onStand()
        await sleep(BEAT_INTERVAL_MS, undefined, { signal, ref: false })
      }
    } finally {
      for (const part of parts) part.close()
      // Only a redirected command would tell the client otherwise that a master has changed.
      if (client.isCluster && !ended.aborted) client.refreshSlotsCache?.()
    }
  }
}
