import type { ProviderDispatcher } from './network.ts'

/**
 * Compares the `Date` of responses (RFC 9110 §6.6.1) with the middle of the time that they took. What a cache has kept
 * is older by its `Age` (RFC 9111 §5.1).
 *
 * @returns `dispatcher`, in the place of `agent`, by which each response is looked at; `observe` for others.
 */
export function watchClock(agent: ProviderDispatcher) {
  const differences: number[] = []
  const observe = ({ date, age }: Readonly<Record<string, unknown>>, sentAt: number) => {
    const at = Date.parse(String(date)) + (Number(age) || 0) * 1000
    // It is cut to whole seconds.
    if (!Number.isNaN(at)) differences.push((at + 500 - (sentAt + Date.now()) / 2) / 1000)
  }
  const dispatcher: ProviderDispatcher = {
    dispatch(options, handler) {
      const sentAt = Date.now()
      return agent.dispatch(
        options,
        observed(handler, (fields) => observe(fields, sentAt)),
      )
    },
  }
  return {
    dispatcher,
    observe,
    /** Seconds by which the provider is ahead; the smallest there was, for a slow response only adds. */
    get aheadSeconds(): number | undefined {
      return differences.toSorted((a, b) => Math.abs(a) - Math.abs(b))[0]
    },
  }
}

type Handler = Parameters<ProviderDispatcher['dispatch']>[1]

/** The same handler, whose heads are looked at. */
function observed(handler: Handler, onHead: (fields: Readonly<Record<string, unknown>>) => void): Handler {
  return new Proxy(handler, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (name === 'onResponseStart') onHead((args[2] ?? {}) as Record<string, unknown>)
        return Reflect.apply(value, target, args)
      }
    },
  })
}
