/** Options of `provider` that are only for presets: each fills its name in braces in the preset's strings. */
export const BLANKS = ['domain', 'realm', 'region', 'userPoolId', 'authorizationServer'] as const
export type Blank = (typeof BLANKS)[number]

/** A provider as a table of plain options: each is one that anybody may set, and all can be overridden (M-01). */
export interface Preset {
  /** Keys of `provider`, with what they are here. `{domain}` in a string is the option of that name. */
  readonly options: Readonly<Record<string, unknown>>
  /** Keys of `provider` that nobody else can know, and what to write there. */
  readonly needs?: Readonly<Record<string, string>>
}

/** True if `{blank}` stands in a string of `value`, a piece of data. */
export function hasBlank(value: unknown, blank: Blank): boolean {
  return JSON.stringify(value ?? null).includes(`{${blank}}`)
}
