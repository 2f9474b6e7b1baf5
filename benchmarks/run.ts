import { join, resolve } from 'node:path'
import { allCases } from './cases/index.ts'
import { describeMachine, type Machine } from './measure/machine.ts'
import { freePort } from './measure/process.ts'
import { type CaseResult, measureCase } from './measure/rounds.ts'
import { type Stage, stageFolder, startSurroundings } from './measure/slice.ts'
import { type CommandLine, describeCommand, readCommandLine, UsageError, usage } from './plan/command-line.ts'
import { installPackages } from './plan/install.ts'
import { describePlan, makePlan, type PlannedCase } from './plan/plan.ts'
import { root } from './plan/project.ts'
import { compare } from './report/compare.ts'
import { headline } from './report/headline.ts'
import { besideEachOther, type Part, type Report, readReport } from './report/report.ts'
import { type Summary, summarize } from './report/summary.ts'
import { judge } from './report/targets.ts'
import { terminalHeader, terminalTable, terminalVerdicts } from './report/terminal.ts'
import { writeReports, writeResults } from './report/write.ts'
import { makeKeys } from './servers/keys.ts'

/**
 * The benchmarks' command: plan, measure, report. @see benchmarks/README.md
 *
 * Exit status: 0, 1 if something that should have been measured was void or failed, 2 for wrong usage.
 */
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
try {
  const line = readCommandLine(process.argv.slice(2))
  if (line.help) say(usage)
  else if (line.list) say(list())
  else if (line.results.length > 0) await write(besideEachOther(line.results.map((file) => read(file))), line)
  else process.exitCode = await run(line)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n${usage}`)
  process.exitCode = 2
}

async function run(line: CommandLine): Promise<number> {
  const before = line.compare === undefined ? undefined : read(line.compare, '--compare ')
  const earlier = line.continued === undefined ? undefined : read(line.continued, '--continue ')
  const plan = withPackages(makePlan(line).filter(({ case: { name } }) => !earlier?.raw[name]))
  const now = describeMachine(line.node)
  // Nothing is left to measure: only the report is written again.
  const machine = earlier !== undefined && plan.length === 0 ? earlier.machine : continued(earlier, now)
  const folder = folderOf(line)
  say(terminalHeader(machine))
  say(`\nplan\n${describePlan(plan)}`)

  const raw: Record<string, CaseResult> = { ...earlier?.raw }
  const timings: Record<string, PlannedCase['timing']> = { ...earlier?.timings }
  const summaries: Summary[] = [...(earlier?.summaries ?? [])]
  const command = describeCommand(process.argv.slice(2), process.env)
  const report = (): Report => {
    const { profile } = line
    const cases = Object.keys(raw).filter((name) => !earlier?.raw[name])
    const part: Part[] = cases.length > 0 ? [{ command, date: now.date, commit: now.commit, cases }] : []
    const parts = [...(earlier?.parts ?? []), ...part]
    const verdicts = judge(summaries, machine.node)
    return { format: 1, profile, machine, parts, timings, summaries, verdicts, raw }
  }
  await onStage(line.node, machine.pinning, async (stage) => {
    for (const { case: one, timing, skipped } of plan) {
      progress(one.name)
      const result = await measureCase(stage, one, timing, skipped, progress)
      const summary = summarize(one, result, timing.generator)
      raw[one.name] = result
      timings[one.name] = timing
      summaries.push(summary)
      say(terminalTable(summary))
      // A long measurement that is broken off can be continued.
      writeResults(report(), folder)
    }
  })

  say(terminalVerdicts(report().verdicts))
  if (before) say(compare(before, report()))
  writeResults(report(), folder)
  await write([report()], line)
  return hasFailed(plan, raw) ? 1 : 0
}

/** Everything that is made of results, and nothing is measured. */
async function write(reports: readonly Report[], line: CommandLine): Promise<void> {
  const folder = folderOf(line)
  say(`\n${headline(reports)}\n`)
  // They draw the charts; where they are not there, that is told of each chart.
  if (line.docs) installPackages(progress)
  for (const problem of await writeReports(reports, folder, line.docs)) progress(problem)
  say(
    `\nwritten: ${join(folder, 'results.md')}${line.docs ? ', docs/benchmarks.md, docs/benchmarks/' : ''}\n`,
  )
}

function folderOf({ out }: CommandLine): string {
  return resolve(out ?? join(root, '.cache', 'benchmarks'))
}

/** Runs `act` with the upstream, the provider and the keys, and clears everything away. */
async function onStage(
  node: string,
  pinning: Stage['pinning'],
  act: (stage: Stage) => Promise<void>,
): Promise<void> {
  const provider = await freePort()
  const upstream = await freePort()
  const keys = await makeKeys(`http://127.0.0.1:${provider}`)
  const stage = { node, pinning, upstream, provider, keys, folder: stageFolder() }
  const surroundings = await startSurroundings(stage, keys)
  try {
    await act(stage)
  } finally {
    await surroundings.stop()
  }
}

/** Peers that need packages are skipped where these cannot be installed. */
function withPackages(plan: PlannedCase[]): PlannedCase[] {
  const needing = (one: PlannedCase) => one.case.contenders.filter(({ peer }) => peer.needsPackages)
  const needed = plan.some((one) => needing(one).length > 0 || one.timing.generator === 'autocannon')
  const problem = needed ? installPackages(progress) : undefined
  if (problem === undefined) return plan
  return plan.map((one) => {
    const absent = Object.fromEntries(needing(one).map(({ peer }) => [peer.name, problem]))
    return { ...one, skipped: { ...one.skipped, ...absent } }
  })
}

/** What was skipped is no failure: it is not installed. */
function hasFailed(plan: readonly PlannedCase[], raw: Readonly<Record<string, CaseResult>>): boolean {
  return plan.some(({ case: { name }, skipped }) =>
    Object.keys(raw[name]?.failures ?? {}).some((peer) => skipped[peer] === undefined),
  )
}

/** The machine of a measurement in parts, with the commit of each. @throws UsageError where they cannot be compared. */
function continued(earlier: Report | undefined, machine: Machine): Machine {
  if (earlier === undefined) return machine
  const { cpu, cores, node, commit } = earlier.machine
  if (cpu !== machine.cpu || cores !== machine.cores || node !== machine.node) {
    throw new UsageError(`--continue: its cases were measured on ${cores} x ${cpu}, node ${node}`)
  }
  const commits = commit.includes(machine.commit) ? commit : `${commit}, then ${machine.commit}`
  return {
    ...machine,
    commit: commits,
    loadAverage: Math.max(machine.loadAverage, earlier.machine.loadAverage),
  }
}

/** @param flag of the command line that names the file. @throws UsageError */
function read(file: string, flag = ''): Report {
  try {
    return readReport(file)
  } catch (error) {
    throw new UsageError(`${flag}${file}: ${(error as Error).message}`)
  }
}

function list(): string {
  return allCases(false)
    .map(({ name, title, base, contenders }) => {
      const peers = contenders.map(({ peer }) => `    ${peer.name.padEnd(28)} ${peer.title}\n`).join('')
      return `${name}: ${title}\n    ${base.peer.name.padEnd(28)} ${base.peer.title} (base)\n${peers}`
    })
    .join('\n')
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`)
}

function say(text: string): void {
  process.stdout.write(text)
}
