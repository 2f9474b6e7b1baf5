/**
 * A credential as it may be shown: its first and last characters, enough to tell two kinds or two values apart
 * and at most a quarter of it, and its length. `Bearer pka_Af…9xQz` keeps its scheme.
 */
export function mask(credential: string): string {
  const [, scheme = '', secret = ''] = /^(\S+ )?(.*)$/s.exec(credential) ?? []
  const { length } = secret
  const head = secret.slice(0, Math.min(6, Math.floor(length / 6)))
  const tail = secret.slice(length - Math.min(4, Math.floor(length / 12)))
  return `${scheme}${head}…${tail} (${length} characters)`
}
