import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ConfigError } from '../../plugin/index.ts'

/** Absolute names of PEM files. */
export interface CertificateFiles {
  /** The certificate, then the intermediate ones. */
  readonly certFile: string
  readonly keyFile: string
}

/** What a TLS listener is made of, and made anew of when the files have changed. */
export interface TlsOptions {
  readonly cert: Buffer
  readonly key: Buffer
  readonly minVersion: 'TLSv1.2'
}

/**
 * Reads both files, and checks that they belong together.
 *
 * @throws ConfigError with one problem, at `listen.tls.certFile` or `listen.tls.keyFile`.
 */
export function readCertificate({ certFile, keyFile }: CertificateFiles): TlsOptions {
  const cert = read('certFile', certFile)
  const key = read('keyFile', keyFile)
  const certificate = parsed(
    'certFile',
    `${certFile} is no certificate (PEM)`,
    () => new X509Certificate(cert),
  )
  const privateKey = parsed('keyFile', `${keyFile} is no private key (PEM)`, () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw unusable('keyFile', `${keyFile} is not the private key of the certificate`)
  }
  return { cert, key, minVersion: 'TLSv1.2' }
}

function read(key: keyof CertificateFiles, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw unusable(key, `${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  }
}

function parsed<T>(key: keyof CertificateFiles, problem: string, parse: () => T): T {
  try {
    return parse()
  } catch {
    throw unusable(key, problem)
  }
}

function unusable(key: keyof CertificateFiles, problem: string): ConfigError {
  return new ConfigError([{ path: ['listen', 'tls', key], problem }])
}
