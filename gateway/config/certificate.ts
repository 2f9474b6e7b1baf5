import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ConfigError, type ConfigProblem } from '../../plugin/index.ts'

type Path = ConfigProblem['path']

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
  const path = ['listen', 'tls']
  const pair = readPair(
    { path: [...path, 'certFile'], name: certFile },
    { path: [...path, 'keyFile'], name: keyFile },
  )
  return { ...pair, minVersion: 'TLSv1.2' }
}

/** Absolute names of PEM files that are for the connections to one server. */
export interface TrustFiles {
  /** Whose certificates are trusted, in the place of all public authorities. */
  readonly caFile?: string
  /** Our own certificate, and its private key. */
  readonly clientCertFile?: string
  readonly clientKeyFile?: string
}

/** Node's TLS options of that name. */
export interface Trust {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

/**
 * Reads the files that there are, and checks what they hold (requirements Q-07).
 *
 * @param path of what has them in the configuration.
 * @throws ConfigError with one problem, at the key below `path`.
 */
export function readTrust({ caFile, clientCertFile, clientKeyFile }: TrustFiles, path: Path): Trust {
  const named = (key: keyof TrustFiles, name: string) => ({ path: [...path, key], name })
  return {
    ...(caFile !== undefined && { ca: readAuthorities(named('caFile', caFile)) }),
    ...(clientCertFile !== undefined &&
      clientKeyFile !== undefined &&
      readPair(named('clientCertFile', clientCertFile), named('clientKeyFile', clientKeyFile))),
  }
}

/** A PEM file, and where it is named. */
interface PemFile {
  readonly path: Path
  readonly name: string
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

function readAuthorities(file: PemFile): Buffer {
  const ca = read(file)
  const certificates = ca.toString('latin1').match(CERTIFICATE) ?? ['']
  const problem = `${file.name} is no list of certificates (PEM)`
  for (const certificate of certificates) parsed(file, problem, () => new X509Certificate(certificate))
  return ca
}

function readPair(certFile: PemFile, keyFile: PemFile): { cert: Buffer; key: Buffer } {
  const cert = read(certFile)
  const key = read(keyFile)
  const certificate = parsed(
    certFile,
    `${certFile.name} is no certificate (PEM)`,
    () => new X509Certificate(cert),
  )
  const privateKey = parsed(keyFile, `${keyFile.name} is no private key (PEM)`, () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw unusable(keyFile, `${keyFile.name} is not the private key of the certificate`)
  }
  return { cert, key }
}

function read(file: PemFile): Buffer {
  try {
    return readFileSync(file.name)
  } catch (error) {
    throw unusable(file, `${file.name} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  }
}

function parsed<T>(file: PemFile, problem: string, parse: () => T): T {
  try {
    return parse()
  } catch {
    throw unusable(file, problem)
  }
}

function unusable({ path }: PemFile, problem: string): ConfigError {
  return new ConfigError([{ path, problem }])
}
