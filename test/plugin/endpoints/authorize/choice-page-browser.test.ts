/** The page on which a person chooses a provider, in a real browser (M-04, A-21 to A-23). */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import pkce from '../../../../plugin/index.ts'
import { launchChromium, withoutBrowser } from '../../../support/chromium.ts'
import { freePort } from '../../../support/gateway-stack.ts'
import { CHALLENGE } from '../../../support/plugin-app.ts'

/** A folder for pictures of the page. */
const screenshots = process.env.PAGE_SCREENSHOTS
const APP_NAME = '<img src=x onerror=alert(1)> & "Co"'
const NAMES = ['<b>Evil</b> & "Co"', 'Apple', 'Long'.repeat(16)]

/** What a provider shows: which one it is. */
async function startProvider(t: Test, name: string): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end(`<title>${name}</title>`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function startApp(t: Test): Promise<string> {
  const keys = ['first', 'second', 'third']
  const entries = keys.map(async (key, index) => {
    const issuer = await startProvider(t, key)
    const endpoints = { authorizationEndpoint: `${issuer}/authorize`, tokenEndpoint: `${issuer}/token` }
    const ours = { clientId: 'gateway', clientSecret: 'gateway-secret', scope: 'api' }
    return [key, { issuer, ...endpoints, ...ours, name: NAMES[index]! }] as const
  })
  const port = await freePort()
  const publicUrl = `http://127.0.0.1:${port}`
  const app = fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  await app.register(pkce, {
    publicUrl,
    providers: Object.fromEntries(await Promise.all(entries)),
    clients: [{ clientId: 'app', name: APP_NAME, redirectUris: ['com.example.app:/cb'] }],
  })
  await app.listen({ host: '127.0.0.1', port })
  const query = new URLSearchParams({
    ...{ client_id: 'app', redirect_uri: 'com.example.app:/cb', response_type: 'code' },
    ...{ code_challenge: CHALLENGE, code_challenge_method: 'S256', state: '"><script>alert(1)</script>' },
  })
  return `${publicUrl}/oauth2/authorize?${query}`
}

/** What is in the page's own script context; the types of Node know nothing of it. */
const inPage = <Value>(page: Page, expression: string) => page.evaluate(expression) as Promise<Value>

/** Relative luminance and contrast: WCAG 2.2. */
const CONTRAST = `(one, other) => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map((value) => {
      const part = value / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}`

t.test('the choice page in a real browser (M-04)', { skip: withoutBrowser }, async (t) => {
  const url = await startApp(t)
  const browser = await launchChromium(t)

  for (const width of [390, 1280]) {
    for (const colorScheme of ['light', 'dark'] as const) {
      t.test(`${width} px wide, ${colorScheme}: readable, quiet, and nothing from elsewhere`, async (t) => {
        const context = await browser.newContext({ colorScheme, viewport: { width, height: 800 } })
        t.teardown(() => context.close())
        const page = await context.newPage()
        const said: string[] = []
        const hosts = new Set<string>()
        page.on('console', (message) => said.push(message.text()))
        page.on('pageerror', (error) => said.push(String(error)))
        page.on('request', (request) => hosts.add(new URL(request.url()).hostname))
        await page.goto(url)

        t.equal(await page.textContent('h1'), `Sign in to ${APP_NAME}`)
        t.equal(await page.title(), `Sign in to ${APP_NAME}`)
        t.same(
          await page.locator('nav a').allTextContents(),
          NAMES.map((name) => `Continue with ${name}`),
        )
        t.equal(await page.locator('b, img, script, form').count(), 0, 'names are text')
        t.ok(
          (await inPage<number>(page, 'document.documentElement.scrollWidth')) <= width,
          'no sideways scroll',
        )
        for (const selector of ['h1', 'p']) {
          const colours = `getComputedStyle(document.querySelector('${selector}')).color, getComputedStyle(document.body).backgroundColor`
          t.ok((await inPage<number>(page, `(${CONTRAST})(${colours})`)) >= 4.5, selector)
        }
        const link = `getComputedStyle(document.querySelector('a'))`
        t.ok(
          (await inPage<number>(page, `(${CONTRAST})(${link}.color, ${link}.backgroundColor)`)) >= 4.5,
          'a',
        )
        t.same(said, [])
        t.same([...hosts], ['127.0.0.1'])
        if (screenshots) await page.screenshot({ path: `${screenshots}/choice-${width}-${colorScheme}.png` })
      })

      t.test(`${width} px wide, ${colorScheme}: by the keyboard, with a focus that is seen`, async (t) => {
        const context = await browser.newContext({ colorScheme, viewport: { width, height: 800 } })
        t.teardown(() => context.close())
        const page = await context.newPage()
        await page.goto(url)
        for (const name of NAMES) {
          await page.keyboard.press('Tab')
          t.equal(await inPage(page, 'document.activeElement.textContent'), `Continue with ${name}`)
          const style = 'getComputedStyle(document.activeElement)'
          t.match(await inPage(page, `[${style}.outlineStyle, ${style}.outlineWidth]`), ['solid', '3px'])
          const ring = `${style}.outlineColor, getComputedStyle(document.body).backgroundColor`
          t.ok((await inPage<number>(page, `(${CONTRAST})(${ring})`)) >= 3, 'WCAG 2.2, 1.4.11')
        }
        await page.keyboard.press('Shift+Tab')
        await page.keyboard.press('Enter')
        await page.waitForURL(/callback%2Fsecond/)
        t.equal(await page.title(), 'second')
      })
    }
  }

  t.test('a click leads to that provider, and back to the page', async (t) => {
    const context = await browser.newContext()
    t.teardown(() => context.close())
    const page = await context.newPage()
    for (const [index, key] of ['first', 'second', 'third'].entries()) {
      await page.goto(url)
      t.same(await context.cookies(), [], 'nothing has begun')
      await page.locator('nav a').nth(index).click()
      await page.waitForURL(/callback%2F/)
      t.equal(await page.title(), key)
      const there = new URL(page.url())
      t.match(there.searchParams.get('redirect_uri'), new RegExp(`/oauth2/callback/${key}$`))
      t.match(await context.cookies(), [{ httpOnly: true, sameSite: 'Lax' }])
      await page.goBack()
      t.equal(await page.locator('nav a').count(), 3)
      await context.clearCookies()
    }
  })
})
