import type { Store } from '../store.ts'

/** A store under test and what the suite needs to move it. */
export interface StoreUnderTest {
  readonly store: Store
  /** A second instance on the same state, for stores that several processes can share. */
  readonly other?: Store
  /** Lets `ms` milliseconds pass on the store's clock: a fake clock, or a real wait. */
  advance(ms: number): Promise<void>
  /** Cuts the store off from its server. */
  break?(): Promise<void>
  /** Ends what `break` began. */
  heal?(): Promise<void>
  /** Closes both instances and removes what was written. They may be closed already. */
  close(): Promise<void>
}

/** One rule of the contract, for any test runner. */
export interface StoreContractCase {
  readonly title: string
  /** @throws AssertionError when the store does not keep the rule. */
  run(): Promise<void>
}

/** One rule: its sentence, and the check that throws when a store breaks it. */
export type Case = readonly [title: string, check: (subject: StoreUnderTest) => Promise<void>]
