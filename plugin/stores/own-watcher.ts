import type { StoreWatcher } from './store.ts'

/**
 * One watch's own copy of its watcher: a set holds one object once, and two watches with the same watcher must
 * end one by one.
 */
export function ownWatcher(watcher: StoreWatcher): StoreWatcher {
  return {
    onChange: (key) => watcher.onChange(key),
    onGap: () => watcher.onGap(),
    onResume: () => watcher.onResume(),
  }
}
