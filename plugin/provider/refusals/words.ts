/** A provider's error code by its looks. What has many digits could be something that it was sent. */
const WORD = /^(?!(?:\D*\d){9})[a-z0-9_.-]{1,64}$/
const MOST_NUMBERS = 3

/**
 * The provider's own short words for a refusal, the most telling first: its error code, and numbers where it has some
 * (Entra ID's `error_codes`, Facebook's `error.code`). They can be logged, and say to an operator what no word of ours
 * could; nothing else that a provider writes is.
 *
 * @param body members of an error response (RFC 6749 §5.2), none of them checked.
 */
export function refusalWords(body: Readonly<Record<string, unknown>>): string[] {
  const { error, error_codes } = body
  const inObject = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {}
  const numbers = [error_codes, inObject.error_subcode, inObject.code].flat().filter(isNumber)
  const words = [error, inObject.code].filter((word) => typeof word === 'string' && WORD.test(word))
  return [...numbers.slice(0, MOST_NUMBERS).map(String), ...(words as string[])]
}

/** The same, of an authorization response as `error: description`, where Entra ID has its number. */
export function authorizationRefusalWords(detail: string): string[] {
  const [error = '', description = ''] = detail.split(': ')
  const [, number] = /\bAADSTS(\d{1,9})\b/.exec(description) ?? []
  return [...(number === undefined ? [] : [number]), ...(WORD.test(error) ? [error] : [])]
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value < 1e9
}
