import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'
import { ConfigError, formatProblem } from '../../../plugin/index.ts'
import { type CertificateFiles, readCertificate } from '../../config/certificate.ts'
import { day, type Finding, finding } from './finding.ts'
import { isLoopback } from './node.ts'
import type { Subject } from './subject.ts'

const PART = 'listener'
/** Certificates of 90 days are renewed 30 days before their end: one week without it is a sign. */
export const NOTICE_MS = 21 * 86_400_000
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g
/** For the log, the store and the provider. */
const OTHER_FILES = 200

/** The public listener's certificate, and how many connections the process may have. */
export function diagnoseListener(subject: Subject): Finding[] {
  const { config } = subject.loaded
  const { tls } = config.listen
  return [...(tls ? ofCertificate(tls, subject) : []), ...ofFiles(subject)]
}

function ofCertificate(files: CertificateFiles, { loaded, environment, now }: Subject): Finding[] {
  let chain: X509Certificate[]
  try {
    const { cert } = readCertificate(files)
    chain = (cert.toString('latin1').match(CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem))
  } catch (error) {
    // It was sound when the configuration was read.
    if (!(error instanceof ConfigError)) throw error
    const reason = error.problems.map(formatProblem).join('; ')
    return [finding(PART, 'listen_certificate_unusable', { slots: { reason } })]
  }
  const [own] = chain as [X509Certificate]
  const { hostname } = new URL(loaded.config.plugin.publicUrl)
  const leftMs = Date.parse(own.validTo) - now()
  const slots = { end: day(own.validTo), host: hostname }
  const findings = [
    ...(leftMs < 0 ? [finding(PART, 'listen_certificate_expired', { slots })] : []),
    ...(leftMs >= 0 && leftMs < NOTICE_MS ? [finding(PART, 'listen_certificate_ends', { slots })] : []),
    ...(isFor(own, hostname) ? [] : [finding(PART, 'listen_certificate_name', { slots })]),
    ...(isWhole(chain, environment.NODE_EXTRA_CA_CERTS)
      ? []
      : [finding(PART, 'listen_certificate_chain', { slots })]),
  ]
  return findings.length > 0 ? findings : [finding(PART, 'listen_certificate', { slots })]
}

function isFor(certificate: X509Certificate, hostname: string): boolean {
  const found = /^[\d.]+$|^\[/.test(hostname)
    ? certificate.checkIP(hostname.replace(/[[\]]/g, ''))
    : certificate.checkHost(hostname)
  return found !== undefined
}

/** Each is issued by the next, and the last by a root, or by itself. */
function isWhole(chain: readonly X509Certificate[], extraFile: string | undefined): boolean {
  const last = chain.at(-1)
  if (last === undefined) return false
  const isLinked = chain.every((one, n) => n + 1 === chain.length || one.checkIssued(chain[n + 1]!))
  return isLinked && (last.checkIssued(last) || rootsOf(extraFile).some((root) => last.checkIssued(root)))
}

function rootsOf(extraFile: string | undefined): X509Certificate[] {
  const extra = extraFile ? (readable(extraFile).match(CERTIFICATE) ?? []) : []
  return [...rootCertificates, ...extra].map((pem) => new X509Certificate(pem))
}

function readable(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

/** Node raises its soft limit to the hard one, so what is read here is what the gateway gets when started likewise. */
function ofFiles({ loaded, limits }: Subject): Finding[] {
  const { listen, upstreams } = loaded.config
  const [, soft] = /^Max open files\s+(\S+)/m.exec(limits() ?? '') ?? []
  if (soft === undefined) return []
  const limit = soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
  const upstreamConnections = upstreams.reduce(
    (sum, { connections, target }) => sum + connections * [target].flat().length,
    0,
  )
  const needed = listen.maxConnections + Math.min(listen.maxConnections, upstreamConnections) + OTHER_FILES
  const code = limit < needed ? 'listen_files_few' : 'listen_files'
  return [finding(PART, code, { slots: { limit: soft, needed } })]
}

/** `trustProxy` against what the configuration says of the way to here. */
export function diagnoseProxies({ loaded }: Subject): Finding[] {
  const { plugin, listen, trustProxy } = loaded.config
  if (trustProxy.length > 0)
    return [finding('proxies', 'proxies_named', { slots: { count: trustProxy.length } })]
  const isBehindOne = !isLoopback(plugin.publicUrl) && !listen.tls
  return [finding('proxies', isBehindOne ? 'proxies_untrusted' : 'proxies_none')]
}
