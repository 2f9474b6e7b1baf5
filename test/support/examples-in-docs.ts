/** Puts the examples into the documents that show them: `<!-- examples/x.ts -->` stands before each block. */
import { readFileSync, writeFileSync } from 'node:fs'

const place = (path: string) => new URL(`../../${path}`, import.meta.url)
/** Those that show examples. */
export const documents = ['README.md', 'docs/plugin.md', 'docs/dpop.md'] as const

/** A document as it should be. @throws Error for an example that is not there. */
export function withExamples(path: string): string {
  const block = /^(<!-- (examples\/[\w./-]+\.ts) -->\n```ts\n).*?^```$/gms
  return readFileSync(place(path), 'utf8').replace(
    block,
    (_, head, file) => `${head}${readFileSync(place(file), 'utf8')}\`\`\``,
  )
}

if (process.argv[2] === '--write')
  for (const path of documents) writeFileSync(place(path), withExamples(path))
