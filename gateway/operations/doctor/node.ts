import { accessSync, constants } from 'node:fs'
import { type Finding, finding } from './finding.ts'
import type { Subject } from './subject.ts'

const PART = 'node'

/** When security fixes end, of those that the tests run on. Source: https://github.com/nodejs/Release, schedule.json of 2026-07-02. */
const ENDS: Readonly<Record<string, string>> = {
  20: '2026-04-30',
  22: '2027-04-30',
  24: '2028-04-30',
}
const NEWEST = Object.keys(ENDS).at(-1)!
/** Half a year, for a move that has to be planned. */
const NOTICE_MS = 183 * 86_400_000
const PROXY = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy']

/** Node itself, and the variables that change how it behaves. */
export function diagnoseNode({ loaded, environment, nodeVersion, now }: Subject): Finding[] {
  const { publicUrl } = loaded.config.plugin
  const findings = [ofVersion(nodeVersion, now())]
  if (environment.NODE_ENV !== 'production' && publicUrl.startsWith('https:')) {
    findings.push(finding(PART, 'node_not_production'))
  }
  if (environment.NODE_TLS_REJECT_UNAUTHORIZED === '0') findings.push(finding(PART, 'node_checks_nothing'))
  const { NODE_EXTRA_CA_CERTS: extra } = environment
  if (extra) findings.push(ofExtraAuthorities(extra))
  const set = PROXY.filter((name) => environment[name])
  // The values may hold a password.
  if (set.length > 0)
    findings.push(finding(PART, 'node_proxy_unused', { slots: { variables: set.join(' and ') } }))
  return findings
}

function ofVersion(version: string, now: number): Finding {
  const [major = ''] = version.replace(/^v/, '').split('.')
  const slots = { version: version.replace(/^v/, ''), newest: NEWEST, end: ENDS[major] ?? '' }
  const end = ENDS[major]
  if (end === undefined) return finding(PART, 'node_unknown', { slots })
  // The day itself is still one.
  const leftMs = Date.parse(end) + 86_400_000 - now
  if (leftMs < 0) return finding(PART, 'node_ended', { slots })
  return finding(PART, leftMs < NOTICE_MS ? 'node_ends' : 'node_supported', { slots })
}

function ofExtraAuthorities(file: string): Finding {
  try {
    accessSync(file, constants.R_OK)
    return finding(PART, 'node_extra_ca')
  } catch (error) {
    const reason = `${file} (${(error as NodeJS.ErrnoException).code})`
    return finding(PART, 'node_extra_ca_unreadable', { slots: { reason } })
  }
}

/** True for a `publicUrl` that nobody else can reach. */
export function isLoopback(publicUrl: string): boolean {
  return publicUrl.startsWith('http:')
}
