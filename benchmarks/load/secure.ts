import { createSecureContext, type SecureContext } from 'node:tls'
import type { Secure } from './plan.ts'

/** Made once: it holds what is trusted, which is read at each making. */
const contexts = new Map<string, SecureContext>()

/**
 * For `tls.connect` and what is built on it. Every server gets the same cipher suite and the same group, because the
 * client offers no other; and each has the certificate of the run, which is verified.
 */
export function tlsOptions({ protocol, certificate }: Secure) {
  return { secureContext: contextFor(certificate), ALPNProtocols: [protocol] }
}

function contextFor(certificate: string): SecureContext {
  const known = contexts.get(certificate)
  if (known) return known
  const context = createSecureContext({
    ca: certificate,
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256',
    ecdhCurve: 'X25519',
  })
  contexts.set(certificate, context)
  return context
}
