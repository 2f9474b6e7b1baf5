/** `npm run docs:site`: the documents as pages with a search, from nothing but what is installed. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { pages } from '../support/doc-pages.ts'

const site = t.testdir({})
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
t.equal(scripts['docs:site'], 'vitepress build')
// Without what tap adds to a process, and without a network: a proxy that nobody is behind.
const clean = ['-u', 'NODE_OPTIONS', 'HTTPS_PROXY=http://127.0.0.1:9', resolve('node_modules/.bin/vitepress')]
const begun = Date.now()
await promisify(execFile)('/usr/bin/env', [...clean, 'build', '--outDir', site], { maxBuffer: 1e8 })
t.comment(`built in ${Date.now() - begun} ms`)

/** Where a document is on the site. */
const placeOf = (page: string) => page.replace(/README\.md$/, 'index.md').replace(/\.md$/, '.html')
const html = new Map(pages().map((page) => [placeOf(page), readFileSync(join(site, placeOf(page)), 'utf8')]))

t.test('every document is a page, with its text', async (t) => {
  t.ok(html.size > 40)
  for (const [path, page] of html) t.match(page, /<h1[^>]*>/, path)
  t.match(html.get('docs/errors.html'), 'redirect_uri_mismatch')
  t.match(html.get('docs/architecture.html'), 'sequenceDiagram', 'a diagram is shown as its text')
})

t.test('every link within the site leads to a page, and to an anchor that is there', async (t) => {
  let count = 0
  for (const [from, page] of html) {
    for (const [, link] of page.matchAll(/<a [^>]*?href="([^"]+)"/g)) {
      if (/^[a-z]+:/.test(link!)) continue
      const [path = '', anchor] = link!.split('#')
      const { pathname } = new URL(path === '' ? `/${from}` : path, `http://site/${from}`)
      const target = pathname.slice(1).replace(/(^|\/)$/, '$1index.html')
      count++
      if (!html.has(target)) t.fail(`${from}: ${link}`)
      else if (anchor && !html.get(target)!.includes(`id="${decodeURIComponent(anchor)}"`))
        t.fail(`${from}: ${link}`)
    }
  }
  t.ok(count > 1000, `${count} links`)
})

t.test('pictures are there, and nothing is loaded from elsewhere', async (t) => {
  for (const [path, page] of html) {
    for (const [tag, address] of page.matchAll(
      /<(?:script|img|source|link)\b[^>]*?(?:src|srcset|href)="([^"]+)"/g,
    )) {
      if (address!.startsWith('data:')) continue
      t.match(address, /^\//, `${path}: ${tag}`)
      t.ok(existsSync(join(site, address!)), `${path}: ${tag}`)
    }
  }
})

t.test('the search leads from a word to its page', async (t) => {
  const [index] = readdirSync(join(site, 'assets/chunks')).filter((name) =>
    name.startsWith('@localSearchIndex'),
  )
  const { default: json } = await import(pathToFileURL(join(site, 'assets/chunks', index!)).href)
  // The generator's own, with the generator's own fields.
  const { default: MiniSearch } = await import(
    createRequire(import.meta.resolve('vitepress')).resolve('minisearch')
  )
  const search = MiniSearch.loadJSON(json, {
    ...{ fields: ['title', 'titles', 'text'], storeFields: ['title', 'titles'] },
  })
  const wanted = {
    redirect_uri_mismatch: '/docs/errors.html',
    testSession: '/docs/testing.html',
    flutter_appauth: '/docs/apps.html',
    refreshIdleSeconds: '/docs/options.html',
    'keycloak realm': '/docs/providers/keycloak.html',
  }
  for (const [words, page] of Object.entries(wanted)) {
    const found: { id: string }[] = search.search(words, { combineWith: 'AND', prefix: true }).slice(0, 10)
    t.ok(
      found.some(({ id }) => id.startsWith(page)),
      `${words}: ${found.map(({ id }) => id)}`,
    )
  }
})

t.test('nothing of the generator is packed, or installed by a user', async (t) => {
  const { dependencies, peerDependencies, files } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.notOk('vitepress' in { ...dependencies, ...peerDependencies })
  t.notOk(files.some((name: string) => name.includes('.vitepress')))
  t.ok(readFileSync('.gitignore', 'utf8').includes('build/'))
})
