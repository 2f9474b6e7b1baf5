import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

/** A browser asks for the icon of pages that name none, too. */
const NAMES: Readonly<Record<string, string>> = { '/': 'index.html', '/favicon.ico': 'icon.svg' }

const folder = join(projectFolder(), 'examples/demo/page/public')

/** The file of the page that a path names, read anew each time, or undefined: there is none. */
export async function fileAt(path: string): Promise<{ content: Buffer; type: string } | undefined> {
  const name = NAMES[path] ?? path.slice(1)
  const [, ending = ''] = /^[a-z-]+\.([a-z]+)$/.exec(name) ?? []
  const type = TYPES[ending]
  if (type === undefined) return undefined
  try {
    return { content: await readFile(join(folder, name)), type }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** The build holds no copy of the page: the browser gets the files as they are. */
export function projectFolder(): string {
  let at = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(at, 'package.json'))) at = dirname(at)
  return at
}
