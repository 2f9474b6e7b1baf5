import { OAuthError, type Reason } from '../../oauth/errors.ts'
import { redirectUriProblem } from '../../oauth/redirect-uri.ts'

/** What counts of the metadata of an app that nobody registered (RFC 7591 §2). All the rest is ignored. */
export interface ClientMetadata {
  /** Fit to be shown, and not verified. Empty: it has none that may be shown. */
  readonly name: string
  readonly redirectUris: readonly string[]
}

/** Which reasons a refusal has, by where the metadata came from. */
export interface MetadataReasons {
  readonly malformed: Reason
  readonly redirectUri: Reason
  readonly method: Reason
}

const REDIRECT_URIS_MAX = 10
const REDIRECT_URI_LENGTH_MAX = 1024
const NAME_LENGTH_MAX = 64
/** Read no further than this: a name is shown to its 64th character. */
const NAME_READ_MAX = 1024

/**
 * Reads the metadata of an app that nobody registered. Redirect URIs are held to the rules of registered ones (A-06);
 * whatever else it says of what it would like is replaced by what it gets, as RFC 7591 §2 allows, unless it could do
 * nothing with that.
 *
 * @throws OAuthError with one of `reasons`.
 */
export function readClientMetadata(
  members: Readonly<Record<string, unknown>>,
  reasons: MetadataReasons,
): ClientMetadata {
  const { redirect_uris: uris, grant_types: grants, response_types: responses, client_name: name } = members
  if (!isList(uris) || uris.length === 0 || uris.length > REDIRECT_URIS_MAX) {
    throw new OAuthError(reasons.redirectUri)
  }
  for (const uri of uris) {
    if (uri.length > REDIRECT_URI_LENGTH_MAX || redirectUriProblem(uri) !== undefined) {
      throw new OAuthError(reasons.redirectUri)
    }
  }
  if (name !== undefined && typeof name !== 'string') throw new OAuthError(reasons.malformed)
  if (!holds(grants, 'authorization_code') || !holds(responses, 'code')) throw new OAuthError(reasons.method)
  return { name: shownName(name ?? ''), redirectUris: [...new Set(uris)] }
}

function isList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

/** True where the list is absent, or has the one word that is supported. */
function holds(list: unknown, word: string): boolean {
  return list === undefined || (isList(list) && list.includes(word))
}

/**
 * A name that an app gives itself, as it may be shown: composed, without control, format and direction characters, on
 * one line, at most 64 characters. Empty where letters of several scripts stand in one word, which is how a name is made
 * to look like another (UTS #39 §5.2).
 */
export function shownName(name: string): string {
  const plain = name
    .slice(0, NAME_READ_MAX)
    .normalize('NFKC')
    .replace(/\s+/gu, ' ')
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '')
    // A heap of marks would reach into the lines above and below.
    .replace(/(\p{M}{2})\p{M}+/gu, '$1')
    .trim()
  if (plain.split(' ').some(mixesScripts)) return ''
  return [...plain].slice(0, NAME_LENGTH_MAX).join('').trim()
}

/** Scripts that are written together, with each other and with Latin letters. */
const EAST_ASIAN =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}]/gu
const OTHERS = [
  'Cyrillic',
  'Greek',
  'Armenian',
  'Hebrew',
  'Arabic',
  'Georgian',
  'Cherokee',
  'Coptic',
] as const
const SCRIPTS = ['Latin', ...OTHERS].map((script) => new RegExp(`\\p{Script=${script}}`, 'u'))
/** Letters of any other script. */
const REST = new RegExp(
  `(?=\\p{L})[^${['Latin', ...OTHERS].map((one) => `\\p{Script=${one}}`).join('')}]`,
  'u',
)

function mixesScripts(word: string): boolean {
  const letters = word.replace(EAST_ASIAN, '').replace(/[\p{Script=Common}\p{Script=Inherited}]/gu, '')
  return [...SCRIPTS, REST].filter((script) => script.test(letters)).length > 1
}
