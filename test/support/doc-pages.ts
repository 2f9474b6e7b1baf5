/** The documents, their code blocks and their links. */
import { readdirSync, readFileSync } from 'node:fs'

/** Of this repository. A link to a file that is not packed has this in front. */
export const REPOSITORY = 'https://github.com/fastify-pkce/fastify-pkce/'

export function readPage(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
}

/** What users read, by path: all of it is packed but CONTRIBUTING.md. */
export function pages(): string[] {
  const docs = readdirSync(new URL('../../docs', import.meta.url), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name.replaceAll('\\', '/')}`)
  return ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', ...docs.sort()]
}

/** A fenced block of a document. */
export interface Block {
  readonly page: string
  /** Of its first line of code. */
  readonly line: number
  /** `text` where the fence names none. */
  readonly language: string
  readonly code: string
  /** Of the comment on the line before it, or ''. */
  readonly mark: string
}

export function blocksOf(path: string, page = readPage(path)): Block[] {
  const fence = /^(?:<!-- ([^\n]*) -->\n)?```([\w-]*)[^\n]*\n(.*?)^```$/gms
  return [...page.matchAll(fence)].map((found) => {
    const [, mark = '', language, code = ''] = found
    const before = page.slice(0, found.index + found[0].indexOf('```'))
    return { page: path, line: before.split('\n').length + 1, language: language || 'text', code, mark }
  })
}

/** A link or a picture, wherever it leads. */
export interface Link {
  readonly text: string
  /** Before the `#`; '' is the page itself. */
  readonly path: string
  readonly anchor?: string
}

/** Of Markdown and of `<img>` and `<source>`, outside of code. */
export function linksOf(page: string): Link[] {
  const prose = page
    .replaceAll(/^```.*?^```$/gms, '')
    .replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]()]/g, ' '))
  const found = [...prose.matchAll(/\]\(([^)\s]*)\)/g), ...prose.matchAll(/(?:src|srcset)="([^"]*)"/g)]
  return found.map(([text, target = '']) => {
    const [path = '', anchor] = target.split('#')
    return { text, path, ...(anchor !== undefined && { anchor }) }
  })
}

/** As GitHub makes them of headings, and those that are written out. */
export function anchorsOf(page: string): Set<string> {
  const prose = page.replaceAll(/^```.*?^```$/gms, '')
  const headings = [...prose.matchAll(/^#+ (.*)$/gm)].map(([, text]) => slug(text!))
  const written = [...prose.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id!)
  return new Set([...headings, ...written])
}

/** The anchor that GitHub gives a heading. */
export function slug(heading: string): string {
  return heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}
