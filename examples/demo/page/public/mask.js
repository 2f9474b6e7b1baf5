// @ts-check
/**
 * A credential as it may be shown: its first and last characters, at most a quarter of it, and its length. The same
 * as in mask.ts of the demo; `Bearer pka_Af…9xQz` keeps its scheme.
 *
 * @param {string} credential
 */
export function mask(credential) {
  const [, scheme = '', secret = ''] = /^(\S+ )?(.*)$/s.exec(credential) ?? []
  const { length } = secret
  const head = secret.slice(0, Math.min(6, Math.floor(length / 6)))
  const tail = secret.slice(length - Math.min(4, Math.floor(length / 12)))
  return `${scheme}${head}…${tail} (${length} characters)`
}

/** Parameters, members and header fields that are credentials, or find one. */
const SECRET =
  /^(?:code|code_verifier|state|nonce|request_uri|(?:access|refresh|id)_token|token|client_secret|authorization)$/

/**
 * Names and values as they may be shown, in their order.
 *
 * @param {Iterable<readonly [string, unknown]>} fields
 * @returns {Record<string, string>}
 */
export function maskedFields(fields) {
  return Object.fromEntries(
    [...fields]
      .filter(([, value]) => value !== '' && value !== undefined && value !== null)
      .map(([name, value]) => [name, SECRET.test(name) ? mask(String(value)) : textOf(value)]),
  )
}

/** @param {unknown} value */
function textOf(value) {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
