import type { Audit } from '../grant/audit.ts'
import type { Credentials } from '../grant/credentials.ts'
import type { Grants } from '../grant/grants.ts'
import type { Seals } from '../grant/seals.ts'
import type { Transactions } from '../grant/transactions.ts'
import type { Look } from '../http/pages/look.ts'
import type { RateCounts } from '../http/rate-limit.ts'
import type { ResolvedOptions } from '../options/resolved.ts'
import type { Observer } from '../options/types/observer.ts'
import type { Providers } from '../provider/providers.ts'
import type { DpopProofs } from '../session/dpop/proofs.ts'
import type { SessionResolver } from '../session/resolver.ts'
import type { PushedRequests } from './authorize/pushed-requests.ts'
import type { Clients } from './clients/find-client.ts'

/** @see publishKeys */
export interface PublishedKeys {
  current: () => readonly object[]
}

/** What every endpoint works with. Made once, by `plugin.ts`. */
export interface Services {
  readonly options: ResolvedOptions
  /** How a client is found. */
  readonly clients: Clients
  readonly grants: Grants
  readonly seals: Seals
  readonly credentials: Credentials
  readonly providers: Providers
  readonly sessions: SessionResolver
  readonly proofs: DpopProofs
  readonly transactions: Transactions
  readonly pushedRequests: PushedRequests
  readonly rateCounts: RateCounts
  /** Of the pages. */
  readonly look: Look
  readonly audit: Audit
  readonly observer: Observer
  /** What the key set holds besides: public keys of a program that signs in our name. */
  readonly publishedKeys: PublishedKeys
}
