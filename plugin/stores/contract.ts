import type { StoreContractCase, StoreUnderTest } from './contract/case.ts'
import { outageCases } from './contract/clock-and-outage.ts'
import { countCases } from './contract/counts.ts'
import { indexCases } from './contract/indexes.ts'
import { nameCases } from './contract/names.ts'
import { recordCases } from './contract/records.ts'
import { watchCases } from './contract/watches.ts'

export type { StoreContractCase, StoreUnderTest } from './contract/case.ts'

const cases = [...recordCases, ...nameCases, ...indexCases, ...countCases, ...watchCases, ...outageCases]

/**
 * The rules of `Store` as a list of cases for any test runner:
 *
 *     for (const { title, run } of storeContract({ create })) test(title, run)
 *
 * Each case makes its own store by `create` and closes it. A case whose means are not supplied (`other`,
 * `break`) checks what it can without them. Source: requirements G-06, G-07, G-08, G-14, G-17.
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
