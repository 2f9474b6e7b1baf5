import { atProvider, type ProviderName } from '../../../plugin/api/internal.ts'
import { CATALOGUE, type FindingCode, type Severity } from './catalogue.ts'

const LONGEST = 1000

/** One thing that was looked at, and what came of it. It holds no secret. */
export interface Finding {
  /** E.g. `store`, `providers.google`, `upstream /api`. */
  readonly part: string
  /** Stays the same from version to version. */
  readonly code: FindingCode
  readonly status: Severity
  /** What is, in a sentence. */
  readonly found: string
  /** What to do, in a sentence; absent where there is nothing to do. */
  readonly advice?: string
}

/** What the words in braces stand for, and sentences in place of the catalogue's. */
export interface Circumstances {
  readonly slots?: Readonly<Record<string, string | number>>
  readonly found?: string
  readonly advice?: string
  /** Among several. */
  readonly provider?: ProviderName
}

/** The finding of this code, its sentences filled. */
export function finding(part: string, code: FindingCode, circumstances: Circumstances = {}): Finding {
  const entry: { status: Severity; found: string; advice?: string } = CATALOGUE[code]
  const { slots = {}, provider } = circumstances
  const told = (text: string) =>
    forTerminal(
      atProvider(
        text.replace(/\{(\w+)\}/g, (slot, name: string) => String(slots[name] ?? slot)),
        provider,
      ),
    )
  const advice = circumstances.advice ?? entry.advice
  return {
    ...{ part, code, status: entry.status },
    found: told(circumstances.found ?? entry.found),
    ...(advice !== undefined && { advice: told(advice) }),
  }
}

/** Without what a terminal obeys: names of files and of others' making are in it. */
function forTerminal(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '?').slice(0, LONGEST)
}

/**
 * A message of other parts of the gateway as two sentences: what is, and what to do. They have it behind their first
 * semicolon, else behind their first colon; what is in parentheses is left alone.
 */
export function inTwo(message: string): { found: string; advice?: string } {
  const outside = message.replace(/\([^()]*\)/g, (inside) => '_'.repeat(inside.length))
  const [semicolon, colon] = [outside.indexOf('; '), outside.indexOf(': ')]
  const at = semicolon === -1 ? colon : semicolon
  if (at === -1) return { found: sentence(message) }
  return { found: sentence(message.slice(0, at)), advice: sentence(message.slice(at + 2)) }
}

/** A message as a sentence: a capital at its beginning, unless that is a key, and its point. */
export function sentence(text: string): string {
  const [first] = text
  if (first === undefined) return ''
  return `${/^[a-z]+ /.test(text) ? first.toUpperCase() : first}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
}

/** The day of a date, as `2027-04-30`. */
export function day(date: Date | string | number): string {
  return new Date(date).toISOString().slice(0, 10)
}
