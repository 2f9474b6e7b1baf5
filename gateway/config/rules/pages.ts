import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { logoText } from '../../../plugin/api/internal.ts'
import type { ConfigProblem } from '../../../plugin/index.ts'
import type { PagesFields } from '../../../plugin/options/types/fields.ts'
import type { ExpandedInput } from '../schemas/config.ts'
import type { SecretContext } from '../secrets.ts'

/** The look of the pages, with the logo's content in the place of its file's name. */
export interface CompletedPages {
  readonly pages: PagesFields
  readonly problems: readonly ConfigProblem[]
}

const PATH = ['pages', 'logoFile']
/** What is larger is no logo, and is not read to find out what it is. */
const BYTES_MAX = 1024 * 1024

/** Reads the file of the logo; whether that can be shown is the plugin's to say. */
export function completePages(
  input: NonNullable<ExpandedInput['pages']>,
  { folderOf, isSound }: SecretContext,
): CompletedPages {
  const { logoFile, ...pages } = isSound('pages') ? input : {}
  if (logoFile === undefined) return { pages, problems: [] }
  const file = resolve(folderOf(PATH), logoFile)
  const failed = (problem: string) => ({ pages, problems: [{ path: PATH, problem }] })
  try {
    const found = statSync(file)
    if (!found.isFile()) return failed(`${file} is no file`)
    if (found.size > BYTES_MAX) return failed(`${file} has ${found.size} bytes, and may have 65536`)
    return { pages: { ...pages, logo: logoText(readFileSync(file)) }, problems: [] }
  } catch (error) {
    return failed(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  }
}
