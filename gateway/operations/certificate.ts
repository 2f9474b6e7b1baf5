import { unwatchFile, watchFile } from 'node:fs'
import type { Server } from 'node:https'
import type { FastifyBaseLogger } from 'fastify'
import { type CertificateFiles, readCertificate } from '../config/certificate.ts'

/** How often the files are looked at. Polled, because a mounted secret is replaced by way of symbolic links. */
const INTERVAL_MS = 5000

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
