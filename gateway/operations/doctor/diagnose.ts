import { within } from '../../../plugin/api/internal.ts'
import { type Finding, finding, inTwo } from './finding.ts'
import { diagnoseListener, diagnoseProxies } from './listener.ts'
import { diagnoseNode } from './node.ts'
import { diagnosePorts } from './ports.ts'
import { providerChecks } from './provider.ts'
import { diagnoseSecrets } from './secrets.ts'
import { diagnoseStore } from './store.ts'
import type { Subject } from './subject.ts'
import { diagnoseUpstreams } from './upstreams.ts'

/** What each check takes at most; its own limits are shorter. */
const PART_MS = 30_000

type Check = (subject: Subject) => Finding[] | Promise<Finding[]>

/**
 * Looks at everything that the gateway needs, with what it needs it for, and changes nothing. The parts are looked at
 * at once, and told in the same order each time. Nothing waits for more than some seconds; what fails in one part does
 * not keep the others from being told.
 *
 * Source: requirements Q-09.
 */
export async function* diagnose(subject: Subject): AsyncGenerator<Finding, void> {
  const checks: [part: string, check: Check][] = [
    ['configuration', diagnoseConfiguration],
    ['secrets', diagnoseSecrets],
    ['node', diagnoseNode],
    ['listener', diagnoseListener],
    ['listener', diagnosePorts],
    ['proxies', diagnoseProxies],
    ['store', diagnoseStore],
    ...providerChecks(subject),
    ['upstreams', diagnoseUpstreams],
  ]
  const all = checks.map(([part, check]) => run(part, check, subject))
  for (const findings of all) yield* await findings
}

async function run(part: string, check: Check, subject: Subject): Promise<Finding[]> {
  try {
    return await within(PART_MS, (async () => check(subject))())
  } catch (error) {
    // Its message may hold anything.
    const { code, name } = error as NodeJS.ErrnoException
    return [
      finding(part, 'check_failed', {
        slots: { reason: typeof code === 'string' ? code : (name ?? typeof error) },
      }),
    ]
  }
}

/** What the start would warn of. What is told elsewhere at greater length is left out. */
function diagnoseConfiguration({ loaded }: Subject): Finding[] {
  const findings = loaded.warnings
    .filter((warning) => !/chmod o-r$|has expired: /.test(warning))
    .map((warning) => {
      const { found, advice = 'Change that, unless it is meant; docs/options.md has every key.' } =
        inTwo(warning)
      return finding('configuration', 'configuration_warning', { found, advice })
    })
  return findings.length > 0 ? findings : [finding('configuration', 'configuration_valid')]
}
