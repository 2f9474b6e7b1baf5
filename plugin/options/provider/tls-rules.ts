import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { ResolvedProvider } from '../resolved.ts'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

type Tls = Pick<ResolvedProvider, 'ca' | 'clientCert' | 'clientKey' | 'clientAuthentication'>

/** What is wrong with whom we trust in TLS and who we are there (Q-07, RFC 8705 §2); functions are asked later. */
export function tlsProblems({ ca, clientCert, clientKey, clientAuthentication }: Tls): [string, string][] {
  const problems: [string, string][] = []
  if (typeof ca === 'string' && !areCertificates(ca))
    problems.push(['ca', 'is not a list of PEM certificates'])
  if (clientAuthentication === 'tls_client_auth' && clientCert === undefined) {
    problems.push(['clientCert', 'is required: clientAuthentication is tls_client_auth'])
  }
  if (clientCert !== undefined && clientKey === undefined) {
    problems.push(['clientKey', 'is required: clientCert is set'])
  }
  if (clientKey !== undefined && clientCert === undefined && problems.length === 0) {
    problems.push(['clientCert', 'is required: clientKey is set'])
  }
  if (typeof clientCert === 'string' && !areCertificates(clientCert)) {
    problems.push(['clientCert', 'is not a PEM certificate, with those of its issuers behind it'])
  } else if (typeof clientKey === 'string' && typeof clientCert !== 'function') {
    const problem = keyProblem(clientKey, clientCert)
    if (problem) problems.push(['clientKey', problem])
  }
  return problems
}

function areCertificates(pem: string): boolean {
  const certificates = pem.match(CERTIFICATE)
  try {
    return certificates?.every((one) => new X509Certificate(one)) ?? false
  } catch {
    return false
  }
}

function keyProblem(key: string, certificate: string | undefined): string | undefined {
  try {
    const privateKey = createPrivateKey(key)
    const isOwn = certificate === undefined || new X509Certificate(certificate).checkPrivateKey(privateKey)
    return isOwn ? undefined : 'belongs to another certificate than clientCert'
  } catch {
    return 'is not a private key in PEM, without a password'
  }
}
