import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { launchChromium, withoutBrowser } from '../../../support/chromium.ts'
import { BRAND, HOSTILE_NAME_SHOWN, type LoginPages, startLoginPages } from '../../../support/login-pages.ts'

/**
 * Every page in a real browser: two languages, with and without a brand, on a phone and on a desk, light and dark, and
 * an app whose name is markup. `PAGE_SCREENSHOTS` names a folder for pictures.
 */
const screenshots = process.env.PAGE_SCREENSHOTS
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const NAME = HOSTILE_NAME_SHOWN
const TITLES = {
  continue: { en: `Continue to ${NAME}`, de: `Weiter zu ${NAME}` },
  choice: { en: `Sign in to ${NAME}`, de: `Anmelden bei ${NAME}` },
  consent: { en: 'Allow access?', de: 'Zugriff erlauben?' },
  failure: { en: 'This app made a mistake', de: 'Diese App hat einen Fehler gemacht' },
  refusal: { en: 'You are not signed in', de: 'Sie sind nicht angemeldet' },
} as const
const PAGES = Object.keys(TITLES) as (keyof typeof TITLES)[]
/** Chromium itself reports the status of a page that it loads. */
const STATUS = /the server responded with a status of 400/

interface Violation {
  readonly id: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
}

async function violations(page: Page): Promise<string[]> {
  const { violations: found } = (await page.evaluate(`${axe}; axe.run()`)) as { violations: Violation[] }
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)
}

async function look(t: Test, browser: Browser, { urls, publicUrl }: LoginPages, hasBrand: boolean) {
  for (const language of ['en', 'de'] as const) {
    const context = await browser.newContext({ locale: 'en-US' })
    t.teardown(() => context.close())
    for (const name of PAGES) {
      const page = await context.newPage()
      const said: string[] = []
      const hosts = new Set<string>()
      page.on('console', (message) => {
        if (!STATUS.test(message.text())) said.push(message.text())
      })
      page.on('pageerror', (error) => said.push(String(error)))
      page.on('request', (request) => {
        if (!request.url().startsWith('data:')) hosts.add(new URL(request.url()).hostname)
      })
      const response = await page.goto(urls[name](language === 'en' ? {} : { ui_locales: 'xx de-CH' }))
      t.equal(new URL(page.url()).origin, publicUrl)
      const title = TITLES[name][language]
      t.equal(await page.textContent('h1'), title)
      t.equal(await page.title(), title)
      t.equal(await page.getAttribute('html', 'lang'), language)
      t.equal(await page.locator('script, iframe, link, meta[http-equiv], b').count(), 0, 'names are text')
      t.equal(await page.locator('img').count(), hasBrand ? 1 : 0)
      if (hasBrand) t.equal(await page.evaluate('document.images[0].naturalWidth'), 160, 'the logo is drawn')
      t.match(await page.textContent('body'), new URL(publicUrl).host, 'the host is named')
      t.notMatch(await page.content(), '\u202e')
      t.ok(hasBrand || (await response!.body()).length <= 8192, 'at most 8 KiB')
      for (const width of [390, 1280]) {
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.setViewportSize({ width, height: 844 })
          await page.emulateMedia({ colorScheme })
          const seen = `${name} ${language} ${width} ${colorScheme}`
          t.same(await violations(page), [], seen)
          t.ok(Number(await page.evaluate('document.documentElement.scrollWidth')) <= width, seen)
          const heights = (await page.evaluate(
            `[...document.querySelectorAll('.buttons > *:not([type=hidden])')].map((one) => one.offsetHeight)`,
          )) as number[]
          t.same(
            heights.filter((height) => height < 44),
            [],
            'buttons for fingers',
          )
          if (screenshots === undefined) continue
          const brand = hasBrand ? 'brand' : 'plain'
          await page.screenshot({
            path: `${screenshots}/${name}-${language}-${brand}-${width}-${colorScheme}.png`,
          })
        }
      }
      t.same(said, [], 'nothing on the console')
      t.same([...hosts], ['127.0.0.1'], 'no request off loopback')
      await page.close()
    }
  }
}

t.test('the pages in a real browser', { skip: withoutBrowser }, async (t) => {
  const browser = await launchChromium(t)
  t.test('without a brand: axe finds nothing (A-21 to A-23, B-12, M-04, N-06)', async (t) =>
    look(t, browser, await startLoginPages(t, {}), false),
  )
  t.test('with a brand: axe finds nothing (A-21 to A-23, B-12, M-04, N-06)', async (t) =>
    look(t, browser, await startLoginPages(t, BRAND), true),
  )

  t.test('in German to the end: the browser says nothing of it at the callback (A-14)', async (t) => {
    const { urls } = await startLoginPages(t, {})
    const context = await browser.newContext({ locale: 'ja-JP' })
    t.teardown(() => context.close())
    const page = await context.newPage()
    await page.goto(urls.continue({ ui_locales: 'de' }))
    t.equal(await page.getAttribute('html', 'lang'), 'de')
    await page.goto(urls.continue({ ui_locales: 'tlh' }))
    t.equal(await page.getAttribute('html', 'lang'), 'ja', 'no Klingon: what the browser accepts')
  })
})
