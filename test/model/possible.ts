/** Which states of the model explain what was seen. */
import type { Grant, Step } from './model.ts'

/** A request at the model. */
export interface Running {
  /** What is left of it. */
  readonly step: Step | undefined
  /** What the app was told, until a step has explained it; undefined for an instance that died before it. */
  readonly answer: string | undefined
  /** Its instance has died: it may end anywhere once its answer is explained. Others go on to their end. */
  readonly crashed: boolean
}

/** The states after all of `requests`, whose steps may come in any order. None: nothing explains the answers. */
export function statesAfter(states: readonly Grant[], requests: readonly Running[]): readonly Grant[] {
  const found = new Map<string, Grant>()
  for (const grant of states) explore(grant, requests, found)
  return [...found.values()]
}

function explore(grant: Grant, requests: readonly Running[], found: Map<string, Grant>): void {
  if (requests.every(({ step, answer, crashed }) => answer === undefined && (crashed || !step))) {
    found.set(JSON.stringify(grant), grant)
  }
  for (const [n, { step, answer, crashed }] of requests.entries()) {
    for (const outcome of step?.(grant) ?? []) {
      const isExplained = outcome.answer !== undefined && outcome.answer === answer
      if (outcome.answer !== undefined && answer !== undefined && !isExplained) continue
      // The last step has told something else, or nothing.
      if (!outcome.rest && answer !== undefined && !isExplained) continue
      const left = { step: outcome.rest, answer: isExplained ? undefined : answer, crashed }
      explore(outcome.next, requests.with(n, left), found)
    }
  }
}
