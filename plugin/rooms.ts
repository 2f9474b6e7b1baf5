import type { Audit } from './audit.ts'
import type { Grants } from './grant/grants.ts'
import type { ResolvedOptions } from './options/resolved.ts'
import type { Provider } from './provider/provider.ts'
import type { Sealing } from './sealing.ts'
import type { SessionResolver } from './session/resolver.ts'
import type { Transactions } from './transactions.ts'

/** What every room works with. Made once, by `plugin.ts`. */
export interface Rooms {
  readonly options: ResolvedOptions
  readonly grants: Grants
  readonly sealing: Sealing
  readonly provider: Provider
  readonly sessions: SessionResolver
  readonly transactions: Transactions
  readonly audit: Audit
}
