import { X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { ConfigError, type ConfigProblem } from '../../../plugin/index.ts'
import { type CertificateFiles, readCertificate } from '../certificate.ts'
import type { GatewayInput } from '../schemas/config.ts'

type Path = ConfigProblem['path']

/** The listener's certificate: where it is, and what is wrong with it. */
export interface CompletedTls {
  readonly files: CertificateFiles | undefined
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly string[]
}

/** Finds and tries the files of `listen.tls`. Relative names are relative to `folderOf` their place. */
export function completeTls(
  { listen, publicUrl }: Pick<GatewayInput, 'listen' | 'publicUrl'>,
  folderOf: (path: Path) => string,
): CompletedTls {
  if (listen?.tls === undefined) return { files: undefined, problems: [], warnings: [] }
  const { certFile, keyFile } = listen.tls
  const path = ['listen', 'tls']
  const files = {
    certFile: resolve(folderOf([...path, 'certFile']), certFile),
    keyFile: resolve(folderOf([...path, 'keyFile']), keyFile),
  }
  const problems: ConfigProblem[] = []
  if (!publicUrl.startsWith('https:')) {
    problems.push({ path: ['publicUrl'], problem: 'must begin with https: the listener speaks TLS' })
  }
  try {
    const { cert } = readCertificate(files)
    return { files, problems, warnings: certificateWarnings(files, cert) }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { files: undefined, problems: [...problems, ...error.problems], warnings: [] }
  }
}

/** What can be used, but should not be left as it is. @param cert what `certFile` holds. */
export function certificateWarnings({ certFile, keyFile }: CertificateFiles, cert: Buffer): string[] {
  const { validTo } = new X509Certificate(cert)
  const warnings: string[] = []
  if (Date.parse(validTo) < Date.now()) warnings.push(`${certFile} has expired: ${validTo}`)
  if ((statSync(keyFile).mode & 0o004) !== 0) {
    warnings.push(`${keyFile} holds a secret and can be read by every user: chmod o-r`)
  }
  return warnings
}
