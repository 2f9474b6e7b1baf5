import { setTimeout as sleep } from 'node:timers/promises'
import { StoreError } from '../stores/store.ts'
import type { ActiveGrant } from './grant.ts'
import type { Grants, StoredGrant } from './grants.ts'

const RETRY_AFTER_MS = 250
/** For a process that stood still until its lease was over: it must still learn whether it has won. */
const RETRY_AT_LEAST_MS = 2000

/**
 * Writes what a provider refresh has brought, again and again while the store fails, until the lease ends, and for
 * two seconds at least: the swap is the fence, and refuses whoever comes too late.
 *
 * A provider that rotates its refresh token has forgotten the old one by now. Giving up at the first error would
 * lose the whole session for want of one write. A write whose answer was lost may have happened, and then the
 * same swap loses against itself: so after an error, a lost swap is settled by reading whose generation is there.
 *
 * @param leased the grant as it was when the lease was taken; nobody but an end may change it before `lease.until`.
 * @param generation the hash of the refresh token that is being written.
 * @param write the swap, safe to be made again.
 * @returns false if another writer has won. @throws StoreError when that time is over and the outcome unknown.
 */
export async function commitRefresh(
  grants: Grants,
  leased: StoredGrant<ActiveGrant>,
  generation: string,
  write: () => Promise<boolean>,
): Promise<boolean> {
  /** Set by the first failure. */
  let until: number | undefined
  for (;;) {
    try {
      if (await write()) return true
      return until !== undefined && (await isStored(grants, leased.grant.id, generation))
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      until ??= Math.max(leased.grant.lease?.until ?? 0, grants.now() + RETRY_AT_LEAST_MS)
      if (grants.now() + RETRY_AFTER_MS >= until) throw error
      await sleep(RETRY_AFTER_MS)
    }
  }
}

/** The generation is there, or has been followed by the next one: somebody else has been given it within its grace. */
async function isStored(grants: Grants, grantId: string, generation: string): Promise<boolean> {
  const stored = await grants.read(grantId)
  if (stored?.grant.status !== 'active') return false
  const { hash, predecessor } = stored.grant.refreshToken ?? {}
  return hash === generation || predecessor?.hash === generation
}
