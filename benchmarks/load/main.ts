import { readFileSync, writeFileSync } from 'node:fs'
import { readArgument } from '../plan/argument.ts'
import { runAutocannon } from './autocannon.ts'
import { runEchoes } from './ours/echoes.ts'
import { runEvents } from './ours/events.ts'
import { isIdle, runIdle } from './ours/idle.ts'
import { runOurs } from './ours/load.ts'
import type { LoadPlan } from './plan.ts'
import { runWrk } from './wrk.ts'

/** The load's process: reads its plan from a file, and writes what it has seen into another. */
const { planFile, resultFile, folder } = readArgument<Record<'planFile' | 'resultFile' | 'folder', string>>()
const plan = JSON.parse(readFileSync(planFile, 'utf8')) as LoadPlan
const generators = { ours: runOurs, wrk: runWrk, autocannon: runAutocannon }
const streams = { events: runEvents, echo: runEchoes }
const { mode } = plan
const run = mode === 'events' || mode === 'echo' ? streams[mode] : generators[plan.generator]
const result = isIdle(mode) ? await runIdle(plan, mode) : await run(plan, folder)
writeFileSync(resultFile, JSON.stringify(result))
process.exit(0)
