import t from 'tap'
import { FAILURES, failureOf } from '../../../../plugin/http/pages/failures.ts'
import { acceptedLanguage, LANGUAGES, localeLanguage } from '../../../../plugin/http/pages/language.ts'
import { lookOf } from '../../../../plugin/http/pages/look.ts'
import { failurePage, type Page, renderPage } from '../../../../plugin/http/pages/pages.ts'
import { WORDS } from '../../../../plugin/http/pages/words/index.ts'
import { OAuthError, reasons } from '../../../../plugin/oauth/errors.ts'
import { registered } from '../../../support/oauth-fixtures.ts'

const look = lookOf({ publicUrl: 'https://api.example.com', pages: { accentColor: '#2563eb' } })
const app = registered({ name: 'Orders' })
const unregistered = { ...app, unregistered: 'registration', label: 'Orders' } as const
const url = 'com.example.app:/cb?code=a&state="'
const pages: Page[] = [
  { page: 'continue', app, provider: 'Example ID', redirectTo: url },
  { page: 'choice', app, choices: [{ provider: 'Example ID', url: '/oauth2/authorize?a=b&c=d' }] },
  ...(['https', 'loopback', 'private-use'] as const).flatMap((kind) =>
    (
      [{ ...unregistered, unregistered: 'document' }, unregistered, { ...unregistered, label: '' }] as const
    ).map(
      (one): Page => ({
        ...{ page: 'consent', app: one, answerGoesTo: { kind, name: 'agent.example' } },
        ...{
          scopes: kind === 'https' ? [] : ['Read your orders'],
          action: '/oauth2/consent',
          fields: { a: 'b' },
        },
      }),
    ),
  ),
  {
    page: 'continue',
    app: { ...unregistered, label: '' } as typeof app,
    provider: 'Example ID',
    redirectTo: url,
  },
  ...FAILURES.map(
    (failure): Page => ({ page: 'failure', failure, provider: 'Example ID', app, redirectTo: url }),
  ),
]
const render = (page: Page, language: (typeof LANGUAGES)[number] = 'en', requestId = 'req-1') =>
  renderPage(look, page, { language, requestId })
const wordsOf = (html: string) => html.replace(/<style>.*<\/style>/s, '').replace(/<[^>]*>/g, '')

t.test('every page has words in every language, and is at most 8 KiB', async (t) => {
  for (const page of pages) {
    const seen = new Set<string>()
    for (const language of LANGUAGES) {
      const html = render(page, language)
      t.ok(Buffer.byteLength(html) <= 8192, `${page.page}: ${Buffer.byteLength(html)} bytes`)
      t.match(html, `<html lang="${WORDS[language].lang}">`)
      t.notMatch(wordsOf(html), /undefined|\bnull\b|\[object|[\u2068\u2069]/)
      seen.add(wordsOf(html))
    }
    t.equal(seen.size, LANGUAGES.length, 'no two languages say the same')
  }
})

t.test('ui_locales: the first that there are words for (OIDC Core §3.1.2.1)', async (t) => {
  for (const [uiLocales, language] of [
    ['de', 'de'],
    ['fr-CA fr en', 'fr'],
    ['tlh pt-BR en', 'pt'],
    ['ZH-hant-TW', 'zh'],
    ['tlh', undefined],
    ['', undefined],
    [undefined, undefined],
    ['deutsch', undefined],
    ['"><script>', undefined],
    [`${'x '.repeat(400)}de`, undefined],
  ] as const) {
    t.equal(localeLanguage(uiLocales), language, uiLocales ?? 'absent')
  }
})

t.test('Accept-Language: by quality, then by order (RFC 9110 §12.5.4)', async (t) => {
  for (const [header, language] of [
    ['de-CH, de;q=0.9, en;q=0.8', 'de'],
    ['en;q=0.1, it ; q=0.5, ja;q=0.4', 'it'],
    ['es;q=0.8,fr;q=0.8', 'es'],
    ['tlh, fr;q=0.001', 'fr'],
    ['de;q=0, fr;q=0.1', 'fr'],
    ['de;q=2, fr;q=0.1', 'fr'],
    ['de;q=x, fr;q=0.1', 'fr'],
    ['*', undefined],
    [', ,;q=1', undefined],
    ['', undefined],
    [undefined, undefined],
  ] as const) {
    t.equal(acceptedLanguage(header), language, header ?? 'absent')
  }
})

t.test('foreign text is text: no markup, and it turns no other words around (CWE-79, A-23)', async (t) => {
  const evil = '"\'><script>alert(1)</script>\u202e\u2066\u0000\u200f\u2068'
  for (const page of pages) {
    const html = render({
      ...page,
      ...{ app: registered({ name: evil }), provider: evil, redirectTo: `x:${evil}` },
      ...('scopes' in page && { scopes: [evil], app: { ...unregistered, label: evil } }),
    } as Page)
    t.notMatch(html, '<script')
    t.notMatch(html.replace(/href="[^"]*"/g, ''), /(?!\n)[\p{Cc}\p{Cf}]/u)
    t.equal(html.match(/<bdi>/g)?.length ?? 0, html.match(/<\/bdi>/g)?.length ?? 0)
  }
})

t.test('the name of a reason is shown where its description tells as much, and nowhere else', async (t) => {
  const messages = reasons.map((reason) => new OAuthError(reason).message)
  const shown = reasons.filter(
    (reason, index) =>
      failureOf(new OAuthError(reason)) === 'app' &&
      messages.indexOf(messages[index]!) === messages.lastIndexOf(messages[index]!),
  )
  for (const reason of reasons) {
    const error = new OAuthError(reason)
    const html = render(failurePage(error))
    t.equal(html.includes(`<code>${reason}</code>`), shown.includes(reason), reason)
  }
  t.notOk(shown.includes('client_disabled'), 'RFC 6749 §10.10')
  for (const reason of ['authorize_client_unknown', 'redirect_uri_mismatch', 'challenge_missing'] as const) {
    t.ok(shown.includes(reason), reason)
  }
})

t.test('failure looks like failure, and what is nobody’s fault does not (B-15)', async (t) => {
  const quiet = FAILURES.filter((failure) => !render({ page: 'failure', failure }).includes('<svg'))
  t.same(quiet, ['used', 'otherBrowser', 'denied'])
})

t.test('a request id is shown on failures, unless it could be anything', async (t) => {
  t.match(render({ page: 'failure', failure: 'internal' }), 'Request ID: <code>req-1</code>')
  t.notMatch(render({ page: 'failure', failure: 'internal' }, 'en', '<b>x'), 'Request ID')
  t.notMatch(render(pages[0]!), 'Request ID')
})

t.test('the policy is as before; only a logo adds to it (A-22)', async (t) => {
  const style = "style-src 'sha256-[A-Za-z0-9+/]{43}='"
  const rest = "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
  t.match(look.policy, new RegExp(`^default-src 'none'; ${style}; ${rest}$`))
  const logo = 'data:image/png;base64,AAAA'
  const { policy } = lookOf({ publicUrl: 'https://api.example.com', pages: { accentColor: '#2563eb', logo } })
  t.match(policy, new RegExp(`^default-src 'none'; ${style}; img-src data:; ${rest}$`))
})
