import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

/** A DER value (X.690 §8.1). */
function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
const sequence = (...parts: Buffer[]) => der(0x30, ...parts)
const ECDSA_SHA256 = sequence(der(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
const COMMON_NAME = der(0x06, Buffer.from('550403', 'hex'))
const SUBJECT_ALT_NAME = der(0x06, Buffer.from('551d11', 'hex'))
const utcTime = (date: Date) =>
  der(
    0x17,
    Buffer.from(
      `${date
        .toISOString()
        .replace(/\.\d+|[-:T]/g, '')
        .slice(2, 14)}Z`,
    ),
  )

/** A certificate and its key, as PEM, and what it needs to issue others. */
export interface IssuedCertificate {
  readonly cert: string
  readonly key: string
  /** Its name, DER. */
  readonly subject: Buffer
}

/**
 * A certificate for `name` and 127.0.0.1, with its key (RFC 5280 §4.1).
 *
 * @param issuer Default: it signs itself.
 */
export function selfSigned(
  name: string,
  validTo = new Date(Date.now() + 3_600_000),
  issuer?: IssuedCertificate,
): IssuedCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  // Of its own, so that a client can trust several at a time.
  const commonName = Buffer.from(randomBytes(8).toString('hex'))
  const subject = sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, commonName))))
  const names = sequence(der(0x82, Buffer.from(name)), der(0x87, Buffer.from([127, 0, 0, 1])))
  const serial = Buffer.concat([Buffer.from([1]), randomBytes(8)])
  const signed = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ECDSA_SHA256,
    issuer?.subject ?? subject,
    sequence(utcTime(new Date(Math.min(validTo.getTime(), Date.now()) - 86_400_000)), utcTime(validTo)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(sequence(SUBJECT_ALT_NAME, der(0x04, names)))),
  )
  const signature = sign('sha256', signed, issuer?.key ?? privateKey)
  const certificate = sequence(signed, ECDSA_SHA256, der(0x03, Buffer.from([0]), signature))
  const lines = certificate.toString('base64').replace(/.{64}(?!$)/g, '$&\n')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    subject,
  }
}
