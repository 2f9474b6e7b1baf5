import type { ProviderDispatcher } from './network.ts'

/**
 * Looks at the `Date` of every response (RFC 9110 §6.6.1), against the middle of the time that it took.
 *
 * @returns `dispatcher`, in the place of `agent`.
 */
export function watchClock(agent: ProviderDispatcher) {
  const differences: number[] = []
  const dispatcher: ProviderDispatcher = {
    dispatch(options, handler) {
      const sentAt = Date.now()
      const onDate = (date: string) => {
        const at = Date.parse(date)
        // It is cut to whole seconds.
        if (!Number.isNaN(at)) differences.push((at + 500 - (sentAt + Date.now()) / 2) / 1000)
      }
      return agent.dispatch(options, observed(handler, onDate))
    },
  }
  return {
    dispatcher,
    /** The smallest there was: a cache or a slow answer only adds. */
    get aheadSeconds(): number | undefined {
      return differences.toSorted((a, b) => Math.abs(a) - Math.abs(b))[0]
    },
  }
}

type Handler = Parameters<ProviderDispatcher['dispatch']>[1]

/** The same handler, whose heads are looked at. */
function observed(handler: Handler, onDate: (date: string) => void): Handler {
  return new Proxy(handler, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        const date = name === 'onResponseStart' ? Reflect.get(args[2] ?? {}, 'date') : undefined
        if (typeof date === 'string') onDate(date)
        return Reflect.apply(value, target, args)
      }
    },
  })
}
