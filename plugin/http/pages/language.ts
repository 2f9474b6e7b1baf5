import type { FastifyRequest } from 'fastify'
import { rawQuery } from '../query.ts'

/** Every language that the pages have words in. The first is for everybody else. */
export const LANGUAGES = ['en', 'de', 'fr', 'es', 'pt', 'it', 'ja', 'zh'] as const
export type Language = (typeof LANGUAGES)[number]

/** Nobody means more than that; what follows does not count. */
const HEADER_MAX = 512
const QUALITY = /^\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*$/i
const settled = new WeakMap<FastifyRequest, Language>()

/**
 * The first language of `ui_locales` that the pages have, or undefined.
 *
 * @param uiLocales language tags with spaces between them, the preferred one first, as received (OIDC Core §3.1.2.1).
 */
export function localeLanguage(uiLocales: string | undefined): Language | undefined {
  return firstKnown((uiLocales ?? '').slice(0, HEADER_MAX).split(' '))
}

/** The language of `Accept-Language` that the pages have and its quality puts first, or undefined (RFC 9110 §12.5.4). */
export function acceptedLanguage(header: string | undefined): Language | undefined {
  const ranges = (header ?? '').slice(0, HEADER_MAX).split(',').map(parseRange)
  const wanted = ranges.filter(({ quality }) => quality > 0).toSorted((a, b) => b.quality - a.quality)
  return firstKnown(wanted.map(({ tag }) => tag))
}

/** What the pages of this request are written in from now on, should the app have asked for it by another way. */
export function settleLanguage(request: FastifyRequest, language: string | undefined): void {
  const known = LANGUAGES.find((one) => one === language)
  if (known !== undefined) settled.set(request, known)
}

/** The language of the pages: the app's word, then the browser's. */
export function languageOf(request: FastifyRequest): Language {
  return (
    settled.get(request) ??
    localeLanguage(new URLSearchParams(rawQuery(request)).get('ui_locales') ?? undefined) ??
    acceptedLanguage(request.headers['accept-language']) ??
    LANGUAGES[0]
  )
}

function parseRange(range: string): { tag: string; quality: number } {
  const [tag = '', weight] = range.split(';', 2)
  if (weight === undefined) return { tag, quality: 1 }
  return { tag, quality: Number(QUALITY.exec(weight)?.[1] ?? 0) }
}

/** By the first subtag: words for `de` are better than English for who reads `de-CH` (RFC 4647 §3.4). */
function firstKnown(tags: readonly string[]): Language | undefined {
  for (const tag of tags) {
    const primary = tag.trim().toLowerCase().split('-', 1)[0]
    const known = LANGUAGES.find((language) => language === primary)
    if (known !== undefined) return known
  }
  return undefined
}
