import { resolve } from 'node:path'
import { ConfigError, type ConfigProblem } from '../../../plugin/index.ts'
import { readTrust, type TrustFiles } from '../certificate.ts'
import type { Upstream } from '../schemas/config.ts'
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

/** The same of one place in the configuration; no `files` where it names none. */
export type CompletedTrustAt = Omit<CompletedTrust, 'files'> & { readonly files: TrustFiles | undefined }

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
    const trust = completeTrustAt(path, upstream, folderOf)
    if (trust.files === undefined) continue
    files.set(index, trust.files)
    problems.push(...targetProblems(upstream, path), ...trust.problems)
    warnings.push(...trust.warnings)
  }
  return { files, problems, warnings }
}

/** Finds and tries the files that `settings`, at `path`, name. */
export function completeTrustAt(
  path: Path,
  settings: TrustFiles,
  folderOf: (path: Path) => string,
): CompletedTrustAt {
  const named = KEYS.filter((key) => settings[key] !== undefined)
  if (named.length === 0) return { files: undefined, problems: [], warnings: [] }
  const files = Object.fromEntries(
    named.map((key) => [key, resolve(folderOf([...path, key]), settings[key]!)]),
  ) as TrustFiles
  const problems = pairProblems(settings, path)
  return { files, problems, warnings: problems.length > 0 ? [] : tried(files, path, problems) }
}

function targetProblems(upstream: TrustedUpstream, path: Path): ConfigProblem[] {
  if ([upstream.target].flat().some((one) => one.startsWith('https:'))) return []
  const first = KEYS.find((key) => upstream[key] !== undefined)!
  return [{ path: [...path, first], problem: 'needs an https target: nobody else shows a certificate' }]
}

function pairProblems({ clientCertFile, clientKeyFile }: TrustFiles, path: Path): ConfigProblem[] {
  const problems: ConfigProblem[] = []
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
