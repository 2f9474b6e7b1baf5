import { apple } from './apple.ts'
import { entra } from './entra.ts'
import { github } from './github.ts'
import { google } from './google.ts'
import type { Preset } from './preset.ts'

/** What `provider.preset` may name. */
export const PRESET_NAMES = ['google', 'apple', 'entra', 'github'] as const
export type PresetName = (typeof PRESET_NAMES)[number]

export const PRESETS: Readonly<Record<PresetName, Preset>> = { google, apple, entra, github }

/**
 * The provider's options with those of its preset behind them: whatever is written counts, and of
 * `authorizationParams` each by itself. Expanding twice is expanding once.
 *
 * @param provider of any form: what is no map or names no preset is given back as it is.
 */
export function expandPreset(provider: unknown): unknown {
  if (typeof provider !== 'object' || provider === null || Array.isArray(provider)) return provider
  const given = provider as Record<string, unknown>
  const { options } = PRESETS[given.preset as PresetName] ?? {}
  if (options === undefined || !PRESET_NAMES.includes(given.preset as PresetName)) return provider
  const expanded: Record<string, unknown> = { ...structuredClone(options), ...given }
  const { authorizationParams: ours } = options
  const { authorizationParams: written } = given
  if (ours && typeof written === 'object' && written !== null && !Array.isArray(written)) {
    expanded.authorizationParams = { ...ours, ...written }
  }
  return expanded
}
