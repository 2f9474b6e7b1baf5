import { mask } from '../mask.ts'

/** Parameters, members and header fields that are credentials, or find one. */
const SECRET =
  /^(?:code|code_verifier|state|nonce|request_uri|(?:access|refresh|id)_token|token|client_secret|authorization)$/

/** Names and values as they may be shown, in their order. */
export function maskedFields(
  fields: Iterable<readonly [string, unknown]> | Readonly<Record<string, unknown>>,
): Record<string, string> {
  const entries = Symbol.iterator in fields ? [...fields] : Object.entries(fields)
  return Object.fromEntries(
    entries
      .filter(([, value]) => value !== '' && value !== undefined)
      .map(([name, value]) => [name, SECRET.test(name) ? mask(String(value)) : String(value)]),
  )
}
