import type { Store, StoreWatcher } from '../../../plugin/index.ts'

/** Writes whose notification has not come yet. */
const PENDING_MAX = 1000

/** Is told what a store does. */
export interface StoreObserver {
  /** An operation begins. @returns is told that it has ended, and whether by an error. */
  storeCall(operation: string): (error?: unknown) => void
  /** A write of this process was notified, so long after its beginning. */
  notified(milliseconds: number): void
  /** Whether changes are notified, each time that it changes. */
  notifications(areUp: boolean): void
}

/** The same store, and somebody who is told what it does. */
export function observedStore(store: Store, observer: StoreObserver): Store {
  /** By key: since when. */
  const pending = new Map<string, number>()
  let stands: boolean | undefined

  async function call<T>(operation: string, run: () => Promise<T>): Promise<T> {
    const end = observer.storeCall(operation)
    try {
      const answer = await run()
      end()
      return answer
    } catch (error) {
      end(error)
      throw error
    }
  }

  function stand(areUp: boolean): void {
    if (stands === areUp) return
    stands = areUp
    if (!areUp) pending.clear()
    observer.notifications(areUp)
  }

  /** Several watch the same channel: the first that hears of something tells it. */
  function observedWatcher(watcher: StoreWatcher): StoreWatcher {
    return {
      onChange(key) {
        const since = pending.get(key)
        if (since !== undefined) {
          pending.delete(key)
          observer.notified(performance.now() - since)
        }
        watcher.onChange(key)
      },
      onGap() {
        stand(false)
        watcher.onGap()
      },
      onResume() {
        stand(true)
        watcher.onResume()
      },
    }
  }

  const { count, provedUntil } = store
  return {
    name: store.name,
    now: store.now.bind(store),
    create: (...record) => call('create', () => store.create(...record)),
    read: (key) => call('read', () => store.read(key)),
    async replace(key, ...record) {
      if (stands && pending.size < PENDING_MAX) pending.set(key, performance.now())
      const isReplaced = await call('replace', () => store.replace(key, ...record)).catch((error) => {
        pending.delete(key)
        throw error
      })
      if (!isReplaced) pending.delete(key)
      return isReplaced
    },
    reserve: (...claim) => call('reserve', () => store.reserve(...claim)),
    addToIndex: (...entry) => call('add_to_index', () => store.addToIndex(...entry)),
    readIndex: (index) => call('read_index', () => store.readIndex(index)),
    removeFromIndex: (...entry) => call('remove_from_index', () => store.removeFromIndex(...entry)),
    ...(count && { count: (...window) => call('count', () => count.call(store, ...window)) }),
    watch: (watcher) => store.watch(observedWatcher(watcher)),
    ...(provedUntil && { provedUntil: provedUntil.bind(store) }),
    check: () => call('check', () => store.check()),
    close: () => store.close(),
  }
}
