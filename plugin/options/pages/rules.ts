import type { ConfigProblem } from '../config-error.ts'
import type { OptionFields } from '../types/fields.ts'
import { accentProblem } from './contrast.ts'
import { logoProblem, logoUrl } from './logo.ts'

/** What every page of a login looks like, complete. */
export interface Brand {
  /** Undefined: the host stands for it. */
  readonly name?: string
  /** `data:image/…`, for an `<img>`: as such an SVG runs no script and loads nothing. */
  readonly logo?: string
  /** `#rrggbb`, in lower case. */
  readonly accentColor: string
  readonly supportUrl?: string
}

type Pages = NonNullable<OptionFields['pages']>

/** Controls, line and paragraph separators, and what turns the direction of text around it. */
const NOT_SHOWN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/** What is wrong with the look of the pages. @param pages with its defaults. */
export function pagesProblems({ name, logo, accentColor, supportUrl }: Pages): ConfigProblem[] {
  const problems: [string, string | undefined][] = [
    ['name', name !== undefined && isUnreadable(name) ? 'must be text that can be read' : undefined],
    ['logo', logo === undefined ? undefined : logoProblem(logo)],
    ['accentColor', accentProblem(accentColor!)],
    ['supportUrl', supportUrl === undefined ? undefined : supportUrlProblem(supportUrl)],
  ]
  return problems.flatMap(([key, problem]) => (problem ? [{ path: ['pages', key], problem }] : []))
}

/** The look, of options that have no problem. */
export function brandOf({ name, logo, accentColor, supportUrl }: Pages): Brand {
  return {
    accentColor: accentColor!.toLowerCase(),
    ...(name !== undefined && { name: name.trim() }),
    ...(logo !== undefined && { logo: logoUrl(logo) }),
    ...(supportUrl !== undefined && { supportUrl }),
  }
}

function isUnreadable(name: string): boolean {
  return name.trim() === '' || NOT_SHOWN.test(name)
}

function supportUrlProblem(supportUrl: string): string | undefined {
  const problem = 'must be an https address without user name and password, or mailto: with an address'
  if (!URL.canParse(supportUrl) || /[\s\p{Cc}]/u.test(supportUrl)) return problem
  const { protocol, pathname, username, password } = new URL(supportUrl)
  if (protocol === 'mailto:') return /^[^@]+@[^@]+$/.test(pathname) ? undefined : problem
  return protocol === 'https:' && username === '' && password === '' ? undefined : problem
}
