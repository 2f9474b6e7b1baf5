import type { Exchange } from './traffic.ts'

/** Parameters, members and form fields that are credentials, whoever issued them. */
const NAMES = [
  'access_token',
  'client_assertion',
  'client_secret',
  'code',
  'code_verifier',
  'id_token',
  'nonce',
  'refresh_token',
  'request_uri',
  'state',
  'token',
]
const HANDLE = /pk[arcs]_[A-Za-z0-9_-]{64}/g
const JWT = /eyJ[\w-]+\.[\w-]+\.[\w-]*/g
const NAMED = new RegExp(`[?&"](?:${NAMES.join('|')})(?:=|":\\s*")([^&"\\s]+)`, 'g')
/** Shorter ones are no secrets, and would be found by chance. */
const MIN_LENGTH = 12
/** `"code":"route_unknown"` says what went wrong. */
const ERROR_CODE = /^[a-z_]+$/
const FRAGMENT = 16

/** Every credential that occurred: in URLs, headers and bodies, of requests and of answers. */
export function credentialsIn(traffic: readonly Exchange[]): Set<string> {
  const found = new Set<string>()
  const add = (value: string | undefined) => {
    if (value !== undefined && value.length >= MIN_LENGTH && !ERROR_CODE.test(value)) found.add(value)
  }
  for (const { target, headers, rawHeaders, body, answer, answerHeaders } of traffic) {
    const answered = Object.values(answerHeaders).flat().map(String)
    for (const text of [target, `&${body}`, answer.replaceAll('&amp;', '&'), ...answered]) {
      for (const [value] of text.matchAll(HANDLE)) add(value)
      for (const [value] of text.matchAll(JWT)) value.split('.').concat(value).forEach(add)
      for (const [, value] of text.matchAll(NAMED)) {
        add(value)
        add(decoded(value!))
      }
    }
    for (const [index, value] of rawHeaders.entries()) {
      if (rawHeaders[index - 1]?.toLowerCase() !== 'authorization' || index % 2 === 0) continue
      const [scheme = '', credential] = value.split(' ')
      add(credential)
      if (scheme.toLowerCase() === 'basic') {
        add(
          decoded(
            Buffer.from(credential ?? '', 'base64')
              .toString()
              .split(':')[1] ?? '',
          ),
        )
      }
    }
    for (const pair of [
      ...(headers.cookie?.split('; ') ?? []),
      ...[answerHeaders['set-cookie'] ?? []].flat(),
    ]) {
      add(String(pair).split(';')[0]!.split('=').slice(1).join('='))
    }
  }
  return found
}

/** The credentials of which `text` holds a piece: as they are, or base64, base64url, hex or URL-encoded. */
export function leaks(text: string, credentials: Iterable<string>): string[] {
  // Only the words that are long enough, each once: a log repeats itself.
  const words = [...new Set(text.match(/[\w\-+/=.%~]{12,}/g))].join('\n')
  return [...credentials].filter((credential) => spellings(credential).some((piece) => words.includes(piece)))
}

function spellings(credential: string): string[] {
  // The first 26 characters of a handle say what it is and whose, and open nothing.
  const secret = /^pk[arcs]_/.test(credential) ? credential.slice(26) : credential
  const bytes = Buffer.from(secret)
  const encoded = ['base64', 'base64url', 'hex'] as const
  return [secret, encodeURIComponent(secret), ...encoded.map((name) => bytes.toString(name))].flatMap(
    fragments,
  )
}

function fragments(text: string): string[] {
  const pieces: string[] = []
  for (let at = 0; at + FRAGMENT <= text.length; at += FRAGMENT / 2)
    pieces.push(text.slice(at, at + FRAGMENT))
  return pieces.length === 0 ? [text] : pieces
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
