import { readFileSync } from 'node:fs'
import t from 'tap'
import { apiPage } from '../support/api-page.ts'

t.test('docs/api.md is what the packed declarations say (npm run docs writes it)', async (t) => {
  const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8')
  t.equal(page, apiPage())
  const { exports } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    exports: Record<string, unknown>
  }
  for (const door of Object.keys(exports).filter((name) => !name.endsWith('.json')))
    t.ok(page.includes(`\n## ${door.replace('.', 'fastify-pkce')}\n`), door)
})
