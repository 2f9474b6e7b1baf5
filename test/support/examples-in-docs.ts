/** Puts the examples into the documents that show them: `<!-- examples/x.ts -->` stands before each block. */
import { readFileSync, writeFileSync } from 'node:fs'
import { pages } from './doc-pages.ts'

const place = (path: string) => new URL(`../../${path}`, import.meta.url)
/** Those that show examples. */
export const documents = pages().filter((path) => /^<!-- examples\//m.test(readFileSync(place(path), 'utf8')))

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
