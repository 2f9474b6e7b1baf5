import { OAuthError } from './errors.ts'

/** Decoded parameters without a prototype, each name once; an empty value counts as omitted (RFC 6749 §3.1). */
export type FormParameters = Readonly<Record<string, string | undefined>>

const MAX_PARAMETERS = 32
const MEDIA_TYPE = /^application\/x-www-form-urlencoded(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?$/i
const VISIBLE_ASCII = /^[\x21-\x7e]*$/
const CONTROL = /\p{Cc}/u
const UNRESERVED = /^[\w.~-]*$/

/**
 * Refuses a body that does not claim to be a form in UTF-8, before anything of it is parsed.
 *
 * @param contentType the `Content-Type` header, if there was one.
 * @throws OAuthError `media_type`.
 * Source: RFC 6749 §4.1.3 and Appendix B. The only parameter it may carry is `charset=utf-8`.
 */
export function assertFormMediaType(contentType: string | undefined): void {
  if (contentType === undefined || !MEDIA_TYPE.test(contentType)) throw new OAuthError('media_type')
}

/**
 * Parses application/x-www-form-urlencoded: a body, or a query without its question mark.
 *
 * Strict where lenient parsers disagree with each other, because two readers of one request are how parameters
 * get smuggled: visible ASCII, valid escapes, valid UTF-8, no control characters, no name twice once decoded.
 *
 * @param freeText names whose values may hold control characters; never an identifier or a credential.
 * @throws OAuthError `form_malformed`, `parameter_repeated`, `parameters_too_many` (more than 32).
 * Source: RFC 6749 §3.1, §3.2, Appendix B. Linear in the length of `text`.
 */
export function parseForm(text: string, freeText: readonly string[] = []): FormParameters {
  if (!VISIBLE_ASCII.test(text)) throw new OAuthError('form_malformed')
  const parameters: Record<string, string> = Object.create(null)
  const names = new Set<string>()
  for (const pair of text.split('&')) {
    if (pair === '') continue
    if (names.size === MAX_PARAMETERS) throw new OAuthError('parameters_too_many')

    const separator = pair.indexOf('=')
    const name = decode(separator === -1 ? pair : pair.slice(0, separator))
    if (names.has(name)) throw new OAuthError('parameter_repeated')
    names.add(name)

    const value = separator === -1 ? '' : decode(pair.slice(separator + 1), freeText.includes(name))
    if (value !== '') parameters[name] = value
  }
  return parameters
}

/**
 * The text of a form: a body, or a query without its question mark. What is undefined is left out.
 *
 * A space becomes %20 and not +: those who decode with their platform's URI functions read it as well.
 * Source: RFC 6749 Appendix B.
 */
export function formatForm(parameters: Readonly<Record<string, string | undefined>>): string {
  let text = ''
  for (const name in parameters) {
    const value = parameters[name]
    if (value === undefined) continue
    if (text !== '') text += '&'
    text += `${encode(name)}=${encode(value)}`
  }
  return text
}

/** Most names and values need no escape, and to see that takes half as long. */
function encode(text: string): string {
  return UNRESERVED.test(text) ? text : encodeURIComponent(text)
}

/**
 * Decodes one name or value. Control characters are let through: the caller knows whether they may be there.
 *
 * @throws OAuthError `form_malformed`: not visible ASCII, a broken escape, or not UTF-8 once decoded.
 */
export function decodeFormComponent(text: string): string {
  if (!VISIBLE_ASCII.test(text)) throw new OAuthError('form_malformed')
  return decode(text, true)
}

/** @param text visible ASCII, so that control characters can only come out of its escapes. */
function decode(text: string, mayHoldControls = false): string {
  if (!text.includes('%') && !text.includes('+')) return text
  let decoded: string
  try {
    decoded = decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    // No cause: a URIError says no more than the reason does, and the text may be a credential.
    throw new OAuthError('form_malformed')
  }
  if (!mayHoldControls && CONTROL.test(decoded)) throw new OAuthError('form_malformed')
  return decoded
}
