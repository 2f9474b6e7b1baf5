import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findExecutable } from '../plan/project.ts'
import { body } from '../servers/bodies.ts'
import { Window } from './ours/window.ts'
import { type LoadPlan, type LoadResult, wireFormat } from './plan.ts'

/** Prints what wrk has seen as one line of JSON. Latencies are in microseconds. */
const SCRIPT = `
local file = io.open("REQUEST", "rb")
local bytes = file:read("*all")
file:close()
request = function() return bytes end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {"requests":%d,"duration":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,' ..
    '"p50":%d,"p90":%d,"p99":%d,"p999":%d,"max":%d}\\n',
    summary.requests, summary.duration, e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9), latency.max))
end
`

type Seen = Record<
  | 'requests'
  | 'duration'
  | 'connect'
  | 'read'
  | 'write'
  | 'status'
  | 'timeout'
  | 'p50'
  | 'p90'
  | 'p99'
  | 'p999'
  | 'max',
  number
>

/**
 * The load by wrk: the least CPU of all, so the server is what limits. It checks status codes, not bodies; those
 * have been checked before.
 *
 * @param folder for its script. Time is in whole seconds, at least one.
 */
export async function runWrk(plan: LoadPlan, folder: string): Promise<LoadResult> {
  const window = new Window(plan)
  const script = writeScript(plan, folder)
  await wrk(plan, script, plan.warmUpSeconds)
  await window.rest()
  window.begin()
  const seen = await wrk(plan, script, plan.seconds)
  const used = window.end()
  const { connect, read, write, status, timeout } = seen
  const errors = Object.entries({ connect, read, write, status, timeout }).filter(([, count]) => count > 0)
  return {
    ...used,
    requests: seen.requests,
    // wrk's own duration: the process takes a little longer to start and to end.
    seconds: seen.duration / 1e6,
    errors: errors.reduce((sum, [, count]) => sum + count, 0),
    errorTexts: errors.map(([kind, count]) => `${count} ${kind} errors`),
    latency: {
      p50: seen.p50 * 1000,
      p90: seen.p90 * 1000,
      p99: seen.p99 * 1000,
      p999: seen.p999 * 1000,
      max: seen.max * 1000,
    },
  }
}

function writeScript({ requests, port, uploadBytes }: LoadPlan, folder: string): string {
  const request = join(folder, 'wrk-request')
  const script = join(folder, 'wrk.lua')
  const head = Buffer.from(wireFormat(requests[0]!, port, uploadBytes), 'latin1')
  writeFileSync(request, Buffer.concat([head, body(uploadBytes)]))
  writeFileSync(script, SCRIPT.replace('REQUEST', request))
  return script
}

async function wrk({ connections, port }: LoadPlan, script: string, seconds: number): Promise<Seen> {
  const duration = `-d${Math.max(1, Math.round(seconds))}s`
  const args = ['-t1', `-c${connections}`, duration, '-s', script, `http://127.0.0.1:${port}/`]
  const { stdout, stderr } = await promisify(execFile)(findExecutable('wrk') ?? 'wrk', args)
  const result = /^RESULT (.*)$/m.exec(stdout)?.[1]
  if (result === undefined) throw new Error(`wrk gave no result: ${stdout}${stderr}`)
  return JSON.parse(result) as Seen
}
