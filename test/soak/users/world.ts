import type { Instances } from '../../support/instances.ts'
import type { Deck } from '../deck.ts'
import type { Ledger } from '../ledger.ts'
import type { SoakProvider } from '../provider/provider.ts'
import type { Administrator } from './administrator.ts'
import type { Habit } from './habits.ts'
import type { Sessions } from './sessions.ts'

/** What all users share. */
export interface World {
  readonly stack: Instances
  readonly provider: SoakProvider
  readonly administrator: Administrator
  readonly ledger: Ledger
  readonly sessions: Sessions
  readonly habits: Deck<Habit>
  /** Everybody goes home. */
  readonly ended: AbortSignal
}
