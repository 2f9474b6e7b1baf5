import { readFileSync, writeFileSync } from 'node:fs'
import { readArgument } from '../argument.ts'
import { runAutocannon } from './autocannon.ts'
import { runOurs } from './ours.ts'
import type { LoadPlan } from './plan.ts'
import { runWrk } from './wrk.ts'

/** The load's process: reads its plan from a file, and writes what it has seen into another. */
const { planFile, resultFile, folder } = readArgument<Record<'planFile' | 'resultFile' | 'folder', string>>()
const plan = JSON.parse(readFileSync(planFile, 'utf8')) as LoadPlan
const generators = { ours: runOurs, wrk: runWrk, autocannon: runAutocannon }
writeFileSync(resultFile, JSON.stringify(await generators[plan.generator](plan, folder)))
process.exit(0)
