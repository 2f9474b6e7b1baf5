import type { ResolvedProvider } from '../../resolved.ts'
import { BLANKS, type Blank, hasBlank, type Preset } from './preset.ts'
import { PRESET_NAMES, PRESETS } from './presets.ts'

/** What a preset lacks, and what is written for none: `key` of `provider`, and what is wrong there. */
export function presetProblems(provider: ResolvedProvider): { key: string; problem: string }[] {
  const { preset: name } = provider
  const preset = name && PRESETS[name]
  const problems: { key: string; problem: string }[] = []
  for (const blank of BLANKS) {
    if (provider[blank] !== undefined && !hasBlank(preset?.options, blank)) {
      const who = name ? `preset ${name} has no use for it` : 'it is for presets'
      problems.push({ key: blank, problem: `cannot be set: ${who}; it belongs to ${presetsWith(blank)}` })
    }
  }
  for (const [key, what] of Object.entries(preset?.needs ?? {})) {
    if (isMissing(provider, preset as Preset, key)) {
      problems.push({ key, problem: `is required: preset is ${name}; ${what}` })
    }
  }
  return problems
}

/** Whoever writes another issuer, or whatever else of the preset has the blank, need not fill it in. */
function isMissing(provider: ResolvedProvider, { options }: Preset, key: string): boolean {
  if (provider[key as keyof ResolvedProvider] !== undefined) return false
  return (BLANKS as readonly string[]).includes(key)
    ? Object.keys(options).some((one) => hasBlank(provider[one as keyof ResolvedProvider], key as Blank))
    : provider.issuer === options.issuer
}

function presetsWith(blank: Blank): string {
  return PRESET_NAMES.filter((name) => hasBlank(PRESETS[name].options, blank)).join(', ')
}
