import { resolve } from 'node:path'
import { ConfigError, type ConfigProblem } from '../../../plugin/index.ts'
import { readTrust, type TrustFiles } from '../certificate.ts'
import type { Upstream } from '../schemas/gateway.ts'
import { certificateWarnings } from './tls.ts'

type Path = ConfigProblem['path']
type TrustedUpstream = TrustFiles & Pick<Upstream, 'target'>

/** The PEM files of the upstreams: where they are, and what is wrong with them. */
export interface CompletedTrust {
  /** Absolute names, by the place of the upstream in the list. */
  readonly files: ReadonlyMap<number, TrustFiles>
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly string[]
}

const KEYS = ['caFile', 'clientCertFile', 'clientKeyFile'] as const

/**
 * Finds and tries the files of each upstream (requirements Q-07). Relative names are relative to `folderOf` their place.
 *
 * @param upstreams by their place in the list.
 */
export function completeTrust(
  upstreams: ReadonlyMap<number, TrustedUpstream>,
  folderOf: (path: Path) => string,
): CompletedTrust {
  const files = new Map<number, TrustFiles>()
  const problems: ConfigProblem[] = []
  const warnings: string[] = []
  for (const [index, upstream] of upstreams) {
    const path = ['upstreams', index]
    const named = KEYS.filter((key) => upstream[key] !== undefined)
    if (named.length === 0) continue
    const absolute = Object.fromEntries(
      named.map((key) => [key, resolve(folderOf([...path, key]), upstream[key]!)]),
    ) as TrustFiles
    files.set(index, absolute)
    const found = trustProblems(upstream, path)
    if (found.length > 0) problems.push(...found)
    else warnings.push(...tried(absolute, path, problems))
  }
  return { files, problems, warnings }
}

function trustProblems(upstream: TrustedUpstream, path: Path): ConfigProblem[] {
  const { target, clientCertFile, clientKeyFile } = upstream
  const problems: ConfigProblem[] = []
  if (![target].flat().some((one) => one.startsWith('https:'))) {
    const first = KEYS.find((key) => upstream[key] !== undefined)!
    problems.push({
      path: [...path, first],
      problem: 'needs an https target: nobody else shows a certificate',
    })
  }
  if (clientCertFile !== undefined && clientKeyFile === undefined) {
    problems.push({ path: [...path, 'clientCertFile'], problem: 'needs clientKeyFile' })
  }
  if (clientKeyFile !== undefined && clientCertFile === undefined) {
    problems.push({ path: [...path, 'clientKeyFile'], problem: 'needs clientCertFile' })
  }
  return problems
}

/** @returns warnings. */
function tried(files: TrustFiles, path: Path, problems: ConfigProblem[]): string[] {
  const { clientCertFile: certFile, clientKeyFile: keyFile } = files
  try {
    const { cert } = readTrust(files, path)
    if (cert === undefined || certFile === undefined || keyFile === undefined) return []
    return certificateWarnings({ certFile, keyFile }, cert)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    problems.push(...error.problems)
    return []
  }
}
