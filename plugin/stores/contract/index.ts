/** The door to the store contract, for those who write a store of their own: the rules as cases for any test runner. */
import type { StoreContractCase, StoreUnderTest } from './case.ts'
import { outageCases } from './clock-and-outage.ts'
import { countCases } from './counts.ts'
import { indexCases } from './indexes.ts'
import { nameCases } from './names.ts'
import { recordCases } from './records.ts'
import { watchCases } from './watches.ts'

export type { StoreContractCase, StoreUnderTest } from './case.ts'

const cases = [...recordCases, ...nameCases, ...indexCases, ...countCases, ...watchCases, ...outageCases]

/**
 * The rules of `Store` as a list of cases for any test runner:
 *
 *     for (const { title, run } of storeContract({ create })) test(title, run)
 *
 * Each case makes its own store by `create` and closes it. Where `other` or `break` is not supplied, a case checks
 * what it can without it. Source: requirements G-06, G-07, G-08, G-14, G-17.
 */
export function storeContract(options: { create(): Promise<StoreUnderTest> }): StoreContractCase[] {
  return cases.map(([title, check]) => ({
    title: `store contract: ${title}`,
    async run() {
      const subject = await options.create()
      try {
        await check(subject)
      } finally {
        await subject.close()
      }
    },
  }))
}
