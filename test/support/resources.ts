import { createHook } from 'node:async_hooks'

/** Kinds of what lives on after a call: timers, sockets, watchers. Promises and ticks end by themselves. */
const LASTING = /^(Timeout|TCPWRAP|PIPEWRAP|TLSWRAP|FSEVENTWRAP|STATWATCHER|GETADDRINFOREQWRAP)$/

/** The kinds of resources that `work` makes before it returns, timers that hold no process included. */
export function resourcesMadeBy(work: () => unknown): string[] {
  const made: string[] = []
  const hook = createHook({ init: (_id, type) => void made.push(type) }).enable()
  try {
    work()
  } finally {
    hook.disable()
  }
  return made.filter((type) => LASTING.test(type))
}
