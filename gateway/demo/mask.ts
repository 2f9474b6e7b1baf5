/**
 * A credential as it may be shown: its first characters, enough to tell two kinds or two values apart, and its
 * length. `Bearer pka_x5…` keeps its scheme.
 */
export function mask(credential: string): string {
  const [, scheme = '', secret = ''] = /^(\S+ )?(.*)$/s.exec(credential) ?? []
  return `${scheme}${secret.slice(0, Math.min(6, Math.floor(secret.length / 4)))}… (${secret.length} characters)`
}
