import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import type { Server } from 'node:https'
import type { FastifyBaseLogger } from 'fastify'

/** How often the files are looked at. Polled, because a mounted secret is replaced by way of symbolic links. */
const INTERVAL_MS = 5000

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

/** A file that cannot be used; `key` is its place in the configuration. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError'
  readonly key: keyof CertificateFiles

  constructor(key: keyof CertificateFiles, problem: string, cause?: unknown) {
    super(problem, { cause })
    this.key = key
  }
}

/** Reads both files, and insists that they belong together. @throws CertificateError */
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
    throw new CertificateError('keyFile', `${keyFile} is not the private key of the certificate`)
  }
  return { cert, key, minVersion: 'TLSv1.2' }
}

function read(key: keyof CertificateFiles, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new CertificateError(key, `${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  }
}

function parsed<T>(key: keyof CertificateFiles, problem: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new CertificateError(key, problem, cause)
  }
}

/**
 * Gives a listener the new certificate when its files change, and whenever `reload` is called. Open connections
 * keep theirs. Files that cannot be used, half-replaced ones included, are logged, and the old ones stay.
 */
export function watchCertificate(
  server: Pick<Server, 'setSecureContext'>,
  files: CertificateFiles,
  log: Pick<FastifyBaseLogger, 'info' | 'error'>,
  intervalMs = INTERVAL_MS,
): { reload(): void; close(): void } {
  const names = [files.certFile, files.keyFile]
  const reload = () => {
    try {
      server.setSecureContext(readCertificate(files))
      log.info('certificate reloaded')
    } catch (err) {
      log.error({ err }, 'the certificate cannot be used; the one before it stays')
    }
  }
  for (const name of names) watchFile(name, { interval: intervalMs, persistent: false }, reload)
  return {
    reload,
    close: () => {
      for (const name of names) unwatchFile(name, reload)
    },
  }
}
