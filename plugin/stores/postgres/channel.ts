import { Channel } from '../channel.ts'
import { mayPass, storeError } from './failure.ts'
import { type ListenerOptions, listenOnce } from './listener.ts'

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2000
/**
 * At start it is tried again for so long, unless what is wrong cannot pass. With the check before it, it stays below the
 * ten seconds that Fastify gives a plugin.
 */
const START_MS = 4000

/** The channel through LISTEN: one connection for all watches, made again when it is lost. */
export function createPostgresChannel(options: ListenerOptions): Channel {
  /** Until then, by the process's clock, what may pass is no reason to give up; over once the channel stands. */
  let patientUntil: number | undefined

  return new Channel({
    store: 'postgres',
    now: () => options.commands.clock.now(),

    hold({ onStand, onChange }, signal) {
      patientUntil ??= performance.now() + START_MS
      const events = {
        onStand() {
          patientUntil = 0
          onStand()
        },
        onChange,
      }
      return listenOnce(options, events, signal)
    },

    async wait(standing) {
      await standing().catch((error: unknown) => {
        throw storeError('watch', error)
      })
    },

    isFinal: (error) => !mayPass(error) || performance.now() >= (patientUntil ?? 0),

    pauseMs(failures) {
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS)
      // Not in step: every instance has lost its connection at the same moment.
      return pauseMs * (0.5 + Math.random())
    },
  })
}
