import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { buildGateway, createServices } from '../../../../gateway/app.ts'
import { printConfig } from '../../../../gateway/config/print.ts'
import { resolveOptions } from '../../../../plugin/index.ts'
import { load, matchAll, minimal, problemsOf } from '../../../support/gateway-config.ts'
import { LOGO } from '../../../support/login-pages.ts'

/** A folder with a configuration, and files that may be logos. */
function folderWith(t: Test, pages: object, files: Record<string, string | Buffer> = {}) {
  return join(
    t.testdir({ 'logo.svg': LOGO, ...files, 'gateway.yaml': stringify({ ...minimal(), pages }) }),
    'gateway.yaml',
  )
}

t.test('the look of the pages comes from the file; the logo is beside it', async (t) => {
  const look = { name: 'Example', accentColor: '#0F766E', supportUrl: 'mailto:help@example.com' }
  const { config, effective } = load(folderWith(t, { ...look, logoFile: 'logo.svg' }))
  t.same(config.plugin.pages, { ...look, logo: LOGO })
  t.match(printConfig(effective), 'logoFile: logo.svg')
  const { options, store } = createServices(config)
  t.teardown(() => store.close())
  const { pages } = resolveOptions(options)
  t.equal(pages.logo, `data:image/svg+xml;base64,${Buffer.from(LOGO).toString('base64')}`)
  t.equal(pages.accentColor, '#0f766e')
})

t.test('what is wrong with it is told with its place', async (t) => {
  const place = String.raw`^file:\d+:\d+ `
  for (const [pages, files, problem] of [
    [{ logoFile: 'none.svg' }, {}, String.raw`pages\.logoFile: /.*none\.svg cannot be read: ENOENT$`],
    [{ logoFile: '.' }, {}, String.raw`pages\.logoFile: /.* is no file$`],
    [
      { logoFile: 'a.svg' },
      { 'a.svg': '<svg xmlns="http://www.w3.org/2000/svg">\n<script/></svg>' },
      String.raw`pages\.logoFile: line 2: <script> is not allowed in a logo`,
    ],
    [{ logoFile: 'a.gif' }, { 'a.gif': 'GIF89a' }, String.raw`pages\.logoFile: is neither an SVG nor a PNG$`],
    [
      { logoFile: 'a.svg' },
      { 'a.svg': ' '.repeat(2_000_000) },
      String.raw`pages\.logoFile: .* has 2000000 bytes`,
    ],
    [
      { accentColor: '#ffff00' },
      {},
      String.raw`pages\.accentColor: has a contrast of 1\.07 with the light background`,
    ],
    [{ logo: LOGO }, {}, String.raw`pages\.logo: is not known here$`],
    [{ name: '' }, {}, String.raw`pages\.name: must not be empty$`],
  ] as const) {
    matchAll(t, problemsOf(folderWith(t, pages, files)), [new RegExp(place + problem)])
  }
})

t.test('the whole gateway shows its brand, in the language of the browser', async (t) => {
  const file = folderWith(t, { name: 'Example', logoFile: 'logo.svg', accentColor: '#0f766e' })
  const { config } = load(file, { PKCE_GATEWAY_LOG__LEVEL: 'silent' })
  const app = await buildGateway(config, { logStream: { write: () => {} } })
  t.teardown(() => app.close())
  const { statusCode, headers, body } = await app.inject({
    url: '/oauth2/authorize?client_id=nope',
    headers: { host: '127.0.0.1:3000', accept: 'text/html', 'accept-language': 'fr-CA, en;q=0.5' },
  })
  t.equal(statusCode, 400)
  t.match(String(headers['content-security-policy']), /^default-src 'none'; .*; img-src data:; /)
  t.match(body, '<html lang="fr">')
  t.match(body, '<img src="data:image/svg+xml;base64,')
  t.match(body, 'alt="Example"')
  t.match(body, '--accent:#0f766e;--on:#ffffff')
  t.match(body, '<span>127.0.0.1:3000</span>')
  t.match(body, /Identifiant de la requête: <code>[\w-]+<\/code>/)
})
