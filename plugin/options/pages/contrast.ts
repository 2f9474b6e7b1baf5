/** What the pages are drawn on, by the person's own setting: the accent colour must stand out from both. */
export const BACKGROUNDS = { light: '#ffffff', dark: '#14171c' } as const

/** WCAG 2.2 §1.4.11: what shows where a control is. */
const EDGE_MIN = 3
/** WCAG 2.2 §1.4.3. */
const TEXT_MIN = 4.5
const STEPS = 256

/** The contrast of two colours, 1 to 21 (WCAG 2.2). @param one and @param other `#rrggbb`. */
export function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].toSorted((a, b) => a - b) as [number, number]
  return (light + 0.05) / (dark + 0.05)
}

/** Black or white, whichever is easier to read on a button of this colour. */
export function textOn(colour: string): '#000000' | '#ffffff' {
  return contrast(colour, '#ffffff') >= TEXT_MIN ? '#ffffff' : '#000000'
}

/**
 * Why a button of this colour would be hard to see or to read; undefined if it would not.
 *
 * @param colour `#rrggbb`. @returns words with the number, and the nearest colour of the same hue that would do.
 */
export function accentProblem(colour: string): string | undefined {
  const [name, background] = worstBackground(colour)
  if (contrast(colour, background) >= EDGE_MIN) return undefined
  const found = contrast(colour, background).toFixed(2)
  return `has a contrast of ${found} with the ${name} background ${background}, and needs ${EDGE_MIN} (WCAG 2.2 §1.4.11); ${nearestColour(colour)} would do`
}

function worstBackground(colour: string): ['light' | 'dark', string] {
  const { light, dark } = BACKGROUNDS
  return contrast(colour, light) < contrast(colour, dark) ? ['light', light] : ['dark', dark]
}

/** Mixed with as little white or black as it takes. */
function nearestColour(colour: string): string {
  const towards = worstBackground(colour)[0] === 'light' ? 0 : 255
  for (let step = 1; step <= STEPS; step++) {
    const mixed = channels(colour).map((value) => Math.round(value + ((towards - value) * step) / STEPS))
    const candidate = `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`
    if (contrast(candidate, worstBackground(candidate)[1]) >= EDGE_MIN) return candidate
  }
  return towards === 0 ? '#000000' : '#ffffff'
}

function luminance(colour: string): number {
  const [red, green, blue] = channels(colour).map((value) => {
    const part = value / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function channels(colour: string): number[] {
  return [1, 3, 5].map((start) => Number.parseInt(colour.slice(start, start + 2), 16))
}
