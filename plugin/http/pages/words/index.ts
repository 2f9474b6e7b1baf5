import type { Language } from '../language.ts'
import { de } from './de.ts'
import { en } from './en.ts'
import { es } from './es.ts'
import { fr } from './fr.ts'
import { it } from './it.ts'
import { ja } from './ja.ts'
import { pt } from './pt.ts'
import type { Words } from './words.ts'
import { zh } from './zh.ts'

/** Every language's. A language without words does not compile. */
export const WORDS: Readonly<Record<Language, Words>> = { en, de, fr, es, pt, it, ja, zh }
