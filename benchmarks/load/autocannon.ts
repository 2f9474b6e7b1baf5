import { loadInstalled } from '../plan/project.ts'
import { answerOf, body } from '../servers/bodies.ts'
import { Window } from './ours/window.ts'
import type { LoadPlan, LoadResult } from './plan.ts'

/** What is used of autocannon. Latencies are in milliseconds. */
interface Result {
  readonly errors: number
  readonly mismatches: number
  readonly non2xx: number
  readonly statusCodeStats: Readonly<Record<string, { count: number }>>
  readonly duration: number
  readonly requests: { readonly total: number }
  readonly latency: Record<'p50' | 'p90' | 'p99' | 'p99_9' | 'max', number>
}
type Autocannon = (options: object) => Promise<Result>

/** The load by autocannon: well known, and it needs about as much CPU as the servers, so it may be what limits. */
export async function runAutocannon(plan: LoadPlan): Promise<LoadResult> {
  const { default: autocannon } = await loadInstalled<{ default: Autocannon }>('autocannon')
  const { method, path, headers, body: text } = plan.requests[0]!
  const options = {
    url: `http://127.0.0.1:${plan.port}${path}`,
    method,
    headers,
    body: plan.uploadBytes > 0 ? body(plan.uploadBytes) : text,
    connections: plan.connections,
    pipelining: 1,
    // Other bodies are counted as mismatches.
    expectBody: answerOf(plan.answer)?.toString(),
  }
  const window = new Window(plan)
  await autocannon({ ...options, duration: plan.warmUpSeconds })
  await window.rest()
  window.begin()
  const result = await autocannon({ ...options, duration: plan.seconds })
  const used = window.end()
  const good = result.statusCodeStats[plan.status]?.count ?? 0
  const wrong = result.requests.total - good
  return {
    ...used,
    requests: good,
    seconds: result.duration,
    errors: result.errors + result.mismatches + wrong,
    errorTexts: wrong > 0 ? [`${wrong} answers with another status`] : [],
    latency: {
      p50: result.latency.p50 * 1e6,
      p90: result.latency.p90 * 1e6,
      p99: result.latency.p99 * 1e6,
      p999: result.latency.p99_9 * 1e6,
      max: result.latency.max * 1e6,
    },
  }
}
