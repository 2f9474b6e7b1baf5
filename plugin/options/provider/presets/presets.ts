import { apple } from './apple.ts'
import { discord } from './discord.ts'
import { facebook } from './facebook.ts'
import { github, githubApp } from './github.ts'
import { google } from './google.ts'
import { linkedin } from './linkedin.ts'
import { entra, microsoftPersonal } from './microsoft.ts'
import { auth0, cognito, gitlab, keycloak, okta } from './own-domain.ts'
import { BLANKS, type Blank, type Preset } from './preset.ts'
import { slack } from './slack.ts'

/** What `provider.preset` may name. */
export const PRESET_NAMES = [
  ...(['google', 'apple', 'entra', 'microsoft-personal'] as const),
  ...(['auth0', 'okta', 'keycloak', 'cognito'] as const),
  ...(['github', 'github-app', 'gitlab'] as const),
  ...(['facebook', 'linkedin', 'slack', 'discord'] as const),
] as const
export type PresetName = (typeof PRESET_NAMES)[number]

export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  ...{ google, apple, entra, 'microsoft-personal': microsoftPersonal },
  ...{ auth0, okta, keycloak, cognito },
  ...{ github, 'github-app': githubApp, gitlab },
  ...{ facebook, linkedin, slack, discord },
}

/**
 * The provider's options with those of its preset behind them: whatever is written counts, and of
 * `authorizationParams` each by itself. The preset's strings are filled in (`BLANKS`) as far as something is written.
 * Expanding twice is expanding once.
 *
 * @param provider of any form: what is no map or names no preset is given back as it is.
 */
export function expandPreset(provider: unknown): unknown {
  if (typeof provider !== 'object' || provider === null || Array.isArray(provider)) return provider
  const given = Object.fromEntries(Object.entries(provider).filter(([, value]) => value !== undefined))
  if (!PRESET_NAMES.includes(given.preset as PresetName)) return provider
  const { options } = PRESETS[given.preset as PresetName]
  const expanded: Record<string, unknown> = { ...filledIn(options, { ...options, ...given }), ...given }
  const { authorizationParams: ours } = options
  const { authorizationParams: written } = given
  if (ours && typeof written === 'object' && written !== null && !Array.isArray(written)) {
    expanded.authorizationParams = { ...ours, ...written }
  }
  return expanded
}

/** A copy of a preset's options in which `{blank}` is what `values` has under that name. */
function filledIn(options: Preset['options'], values: Readonly<Record<string, unknown>>): object {
  return JSON.parse(JSON.stringify(options), (_key, value: unknown) =>
    typeof value === 'string'
      ? BLANKS.reduce((text, blank) => fill(text, blank, values[blank]), value)
      : value,
  )
}

function fill(text: string, blank: Blank, value: unknown): string {
  return typeof value === 'string' ? text.replaceAll(`{${blank}}`, () => value) : text
}
