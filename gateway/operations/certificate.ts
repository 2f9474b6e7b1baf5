import { unwatchFile, watchFile } from 'node:fs'
import type { Server } from 'node:https'
import type { FastifyBaseLogger } from 'fastify'
import { type CertificateFiles, readCertificate, type TlsOptions } from '../config/certificate.ts'

/** How often the files are looked at. Polled, because a mounted secret is replaced by way of symbolic links. */
const INTERVAL_MS = 5000

/** A listener's certificate, which follows its files. */
export interface WatchedCertificate {
  /** Reads the files again. */
  reload(): void
  /** Takes what has been read from these files, and follows them from now on. */
  use(files: CertificateFiles, certificate: TlsOptions): void
  close(): void
}

/**
 * Gives a listener the new certificate when its files change. Open connections keep theirs. Files that cannot be
 * used, half-replaced ones included, are logged, and the old ones stay.
 */
export function watchCertificate(
  server: Pick<Server, 'setSecureContext'>,
  files: CertificateFiles,
  log: Pick<FastifyBaseLogger, 'info' | 'error'>,
  intervalMs = INTERVAL_MS,
): WatchedCertificate {
  let watched = files
  const accept = (certificate: TlsOptions) => {
    server.setSecureContext(certificate)
    log.info('certificate reloaded')
  }
  const reload = () => {
    try {
      accept(readCertificate(watched))
    } catch (err) {
      log.error({ err }, 'the certificate cannot be used; the one before it stays')
    }
  }
  const watch = () => {
    for (const name of [watched.certFile, watched.keyFile])
      watchFile(name, { interval: intervalMs, persistent: false }, reload)
  }
  const close = () => {
    for (const name of [watched.certFile, watched.keyFile]) unwatchFile(name, reload)
  }
  watch()
  return {
    reload,
    use(next, certificate) {
      accept(certificate)
      close()
      watched = next
      watch()
    },
    close,
  }
}
