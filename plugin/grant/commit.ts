import { setTimeout as sleep } from 'node:timers/promises'
import { StoreError } from '../stores/store.ts'
import type { ActiveGrant } from './grant.ts'
import { type Grants, isActive, type StoredGrant } from './grants.ts'

const RETRY_AFTER_MS = 250
/** For a process that stood still until its lease was over: it must still learn whether it has won. */
const RETRY_AT_LEAST_MS = 2000
/** After the request has had its response. */
const RETRY_IN_BACKGROUND_MS = 600_000

/** One swap that writes what a provider refresh has brought. */
export interface RefreshCommit {
  /** The grant as it was when the lease was taken; nobody but an end may change it before `lease.until`. */
  readonly leased: StoredGrant<ActiveGrant>
  /** The swap, safe to be made again. @returns false if another writer was first. @throws StoreError */
  write(): Promise<boolean>
  /** Tells by what is there now whether the swap was made. */
  isWritten(grant: ActiveGrant): boolean
  /** Another writer has won: what the provider has issued is in no record. */
  onLost(): void
}

/**
 * Writes, again and again while the store fails. The request waits for it until the lease ends, and for two seconds at
 * least; after that it goes on in the background, for as long as nobody else has changed the grant.
 *
 * A provider that rotates its refresh token has forgotten the old one by now. Giving up at the first error would
 * lose the whole session for want of one write (D-11). A write whose answer was lost may have happened, and then the
 * same swap loses against itself: so after an error, a lost swap is settled by reading what is there.
 *
 * @returns false if another writer has won. @throws StoreError while the outcome is unknown.
 */
export async function commitRefresh(grants: Grants, commit: RefreshCommit): Promise<boolean> {
  const { leased, write, isWritten, onLost } = commit
  let hasFailed = false

  try {
    // From the first failure on, for a process may have stood still until its lease was over.
    return await settle(() => Math.max(leased.grant.lease?.until ?? 0, grants.now() + RETRY_AT_LEAST_MS))
  } catch (error) {
    if (error instanceof StoreError) {
      void settle(() => grants.now() + RETRY_IN_BACKGROUND_MS).catch(() => {})
    }
    throw error
  }

  /** Writes until the store has answered; after a failure until that time at the latest. */
  async function settle(untilAfterFailure: () => number): Promise<boolean> {
    let giveUpAt: number | undefined
    for (;;) {
      try {
        const isCommitted = (await write()) || (hasFailed && (await readBack()))
        if (!isCommitted) onLost()
        return isCommitted
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        hasFailed = true
        giveUpAt ??= untilAfterFailure()
        if (grants.now() + RETRY_AFTER_MS >= giveUpAt) throw error
        await sleep(RETRY_AFTER_MS, undefined, { ref: false })
      }
    }
  }

  async function readBack(): Promise<boolean> {
    const stored = await grants.read(leased.grant.id)
    return isActive(stored) && isWritten(stored.grant)
  }
}
