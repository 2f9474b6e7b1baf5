import { OAuthError } from './errors.ts'

/**
 * The parameters that an endpoint reads, decoded, without a prototype; an empty value counts as omitted (RFC 6749
 * §3.1). To read one that is not among the names does not compile.
 */
export type FormParameters<Name extends string = string> = { readonly [N in Name]?: string | undefined }

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
 * What is read is read strictly, because two readers of one request are how parameters get smuggled: visible ASCII,
 * valid escapes, valid UTF-8, no control characters, no name twice once decoded. What is not read is ignored,
 * whatever it is and however often it comes.
 *
 * @param names the parameters that the caller reads.
 * @throws OAuthError `form_malformed`, `parameter_repeated`, `parameters_too_many` (more than 32, ignored ones
 *   included).
 * Source: RFC 6749 §3.1, §3.2, §4.1.2, Appendix B; requirements A-10, B-06, C-04, C-05. Linear in the length of `text`.
 */
export function parseForm<Name extends string>(text: string, names: readonly Name[]): FormParameters<Name> {
  const parameters: Partial<Record<Name, string>> = Object.create(null)
  const seen = new Set<Name>()
  eachPair(text, (name, encoded) => {
    if (!isOneOf(names, name)) return
    if (seen.has(name)) throw new OAuthError('parameter_repeated')
    seen.add(name)
    const value = decodeValue(encoded)
    if (value !== '') parameters[name] = value
  })
  return parameters
}

/**
 * Every value of a parameter that may be there several times, in their order; empty ones count as omitted.
 *
 * @throws OAuthError `form_malformed`, `parameters_too_many`, as `parseForm`.
 */
export function formValues(text: string, name: string): string[] {
  const values: string[] = []
  eachPair(text, (found, encoded) => {
    const value = found === name ? decodeValue(encoded) : ''
    if (value !== '') values.push(value)
  })
  return values
}

/** The pairs of a form in their order: the name decoded, undefined where it does not decode, and the value as received. */
function eachPair(text: string, take: (name: string | undefined, encoded: string) => void): void {
  let count = 0
  for (const pair of text.split('&')) {
    if (pair === '') continue
    count += 1
    if (count > MAX_PARAMETERS) throw new OAuthError('parameters_too_many')
    const separator = pair.indexOf('=')
    if (separator === -1) take(decodeName(pair), '')
    else take(decodeName(pair.slice(0, separator)), pair.slice(separator + 1))
  }
}

function isOneOf<Name extends string>(names: readonly Name[], name: string | undefined): name is Name {
  return (names as readonly (string | undefined)[]).includes(name)
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
 * Decodes one component. Control characters are let through: the caller knows whether they may be there.
 *
 * @throws OAuthError `form_malformed`: not visible ASCII, a broken escape, or not UTF-8 once decoded.
 */
export function decodeFormComponent(text: string): string {
  if (!VISIBLE_ASCII.test(text)) throw new OAuthError('form_malformed')
  if (!hasEscapes(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    // No cause: a URIError says no more than the reason does, and the text may be a credential.
    throw new OAuthError('form_malformed')
  }
}

/** A name that does not decode is none of those that anybody reads: undefined. */
function decodeName(text: string): string | undefined {
  if (!hasEscapes(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}

function decodeValue(text: string): string {
  const value = decodeFormComponent(text)
  // In visible ASCII, control characters can only come out of escapes.
  if (value !== text && CONTROL.test(value)) throw new OAuthError('form_malformed')
  return value
}

function hasEscapes(text: string): boolean {
  return text.includes('%') || text.includes('+')
}
