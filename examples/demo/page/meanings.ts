import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectFolder } from './files.ts'

/** What happened and what to look at, by reason: the table of docs/errors.md, for a person who has no log open. */
export function meanings(): ReadonlyMap<string, string> {
  const page = readFileSync(join(projectFolder(), 'docs/errors.md'), 'utf8')
  const rows = page.matchAll(/^\| <a id="(\w+)"><\/a>[^|]*\|[^|]*\| (.*) \|$/gm)
  return new Map([...rows].map(([, reason = '', meaning = '']) => [reason, meaning.replaceAll('`', '')]))
}
