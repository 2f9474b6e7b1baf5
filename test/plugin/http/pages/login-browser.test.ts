import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import fastify from 'fastify'
import type { BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { login } from '../../../../examples/demo/login.ts'
import { type DemoProvider, startProvider } from '../../../../examples/demo/provider.ts'
import pkce from '../../../../plugin/index.ts'
import { launchChromium, withoutBrowser } from '../../../support/chromium.ts'
import { newPair } from '../../../support/plugin-app.ts'

/**
 * Pages in a real browser, and a whole login through a real provider. `CHROMIUM_BIN` names another
 * browser; `PAGE_SCREENSHOTS` a folder for pictures of the pages.
 */
const screenshots = process.env.PAGE_SCREENSHOTS
const NAME = '<b>Evil</b> & "Co"'
const SCHEME_URI = "com.example.app:/call'back?tenant=a&x=%20"

async function freePort(): Promise<number> {
  const server = createTcpServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** The plugin and a real provider on loopback, and a protected route. */
async function startStack(t: Test) {
  const port = await freePort()
  const publicUrl = `http://127.0.0.1:${port}`
  const provider: DemoProvider = await startProvider({
    port: 0,
    clients: [
      {
        client_id: 'gateway',
        client_secret: 'gateway-secret',
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [`${publicUrl}/oauth2/callback`],
      },
    ],
  })
  const app = fastify({ forceCloseConnections: true })
  await app.register(pkce, {
    publicUrl,
    provider: {
      issuer: provider.issuer,
      clientId: 'gateway',
      clientSecret: 'gateway-secret',
      scope: 'openid',
    },
    clients: [
      {
        clientId: 'evil',
        name: NAME,
        redirectUris: [SCHEME_URI, 'http://127.0.0.1/callback'],
        scopes: ['read'],
      },
      { clientId: 'long', name: 'Long'.repeat(32), redirectUris: ['com.example.long:/cb'] },
      { clientId: 'nice', name: 'Example Orders', redirectUris: ['com.example.nice:/cb'] },
    ],
  })
  app.get('/me', { onRequest: app.pkce.requireSession({ scopes: ['read'] }) }, async (request) => ({
    subject: request.pkceSession.subject,
  }))
  await app.listen({ host: '127.0.0.1', port })
  t.teardown(async () => {
    await app.close()
    await provider.close()
  })
  return { app, provider, publicUrl }
}

function authorizationUrl(
  publicUrl: string,
  clientId: string,
  redirectUri: string,
  challenge: string,
): string {
  return `${publicUrl}/oauth2/authorize?${new URLSearchParams({
    client_id: clientId,
    redirect_uri: redirectUri,
    response_type: 'code',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    state: `a&b="<i>`,
  })}`
}

/** From the app's URL through the provider's forms to our page. */
async function signIn(page: Page, url: string): Promise<void> {
  await page.goto(url)
  await page.fill('input[name=login]', 'alice')
  await page.fill('input[name=password]', 'any')
  await page.click('button[type=submit]')
  await page.waitForSelector('text=Authorize')
  await page.click('button[type=submit]')
  await page.waitForSelector('h1 >> text=Continue to')
}

async function redeem(publicUrl: string, redirectTo: string, redirectUri: string, verifier: string) {
  const response = await fetch(`${publicUrl}/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: 'evil',
      code: new URL(redirectTo).searchParams.get('code') ?? '',
      redirect_uri: redirectUri,
      code_verifier: verifier,
    }),
  })
  return { status: response.status, ...((await response.json()) as { access_token: string }) }
}

async function picture(page: Page, name: string): Promise<void> {
  if (screenshots === undefined) return
  for (const [look, colorScheme, width] of [
    ['light', 'light', 1000],
    ['dark', 'dark', 1000],
    ['narrow', 'light', 320],
  ] as const) {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize({ width, height: 640 })
    await page.screenshot({ path: `${screenshots}/${name}-${look}.png` })
  }
}

if (withoutBrowser) {
  const skip = `${withoutBrowser}: install it (apt-get install chromium) or set CHROMIUM_BIN`
  console.error(`test/plugin/http/pages/login-browser.test.ts: SKIPPED: ${skip}`)
  t.test('the pages in a real browser', { skip }, () => {})
} else {
  t.test('the pages in a real browser', async (t) => {
    const { publicUrl, app } = await startStack(t)
    const browser = await launchChromium(t)

    /** A private window, and what our pages in it say on the console. */
    async function privateWindow(t: Test): Promise<{ context: BrowserContext; page: Page; said: string[] }> {
      const context = await browser.newContext()
      t.teardown(() => context.close())
      const page = await context.newPage()
      const said: string[] = []
      page.on('console', (message) => {
        if (message.location().url.startsWith(publicUrl)) said.push(`${message.type()} ${message.text()}`)
      })
      page.on('pageerror', (error) => said.push(String(error)))
      return { context, page, said }
    }

    await t.test(
      'a whole login to a private-use scheme: one link, escaped, and no second use (A-21 to A-23, B-11, B-12, B-15)',
      async (t) => {
        const { context, page, said } = await privateWindow(t)
        const { verifier, challenge } = newPair()
        await signIn(page, authorizationUrl(publicUrl, 'evil', SCHEME_URI, challenge))

        t.equal(await page.title(), `Continue to ${NAME}`)
        t.equal(await page.textContent('h1'), `Continue to ${NAME}`)
        t.equal(await page.locator('b').count(), 0, 'the name is text')
        t.equal(await page.locator('script, form, img, iframe, link, meta[http-equiv]').count(), 0)
        t.equal(await page.locator('a').count(), 1)
        const href = (await page.getAttribute('a', 'href')) ?? ''
        t.ok(href.startsWith(`${SCHEME_URI}&code=pkc_`), href)
        t.ok(href.endsWith(`&state=a%26b%3D%22%3Ci%3E&iss=${encodeURIComponent(publicUrl)}`), href)
        t.same(said, [], 'no violation of the policy, no error')
        t.not(
          await page.evaluate('getComputedStyle(document.querySelector("a")).backgroundColor'),
          'rgba(0, 0, 0, 0)',
          'the style is applied',
        )
        await picture(page, 'evil')

        t.same(
          (await context.cookies()).filter(({ name }) => name.startsWith('pkce-')),
          [],
          'the cookie is gone',
        )
        const tokens = await redeem(publicUrl, href, SCHEME_URI, verifier)
        t.equal(tokens.status, 200)

        await page.reload()
        t.equal(await page.textContent('h1'), 'Return to the app')
        t.match(await page.textContent('p'), 'already used')
        t.equal(await page.locator('a').count(), 0)
        await picture(page, 'used')
        const me = await app.inject({
          url: '/me',
          headers: { authorization: `Bearer ${tokens.access_token}` },
        })
        t.same(me.json(), { subject: 'alice' }, 'the session is unaffected')
        // Chromium itself reports the status of a page that it loads.
        t.same(
          said.filter((line) => !line.includes('the server responded with a status of 400')),
          [],
        )
      },
    )

    await t.test(
      'the link opens a loopback app; back is the neutral page, and the session lives (B-15, RFC 8252 §7.3)',
      async (t) => {
        const { page } = await privateWindow(t)
        const received: string[] = []
        const listener = createServer((request, response) => {
          if (request.url?.startsWith('/callback')) received.push(request.url)
          response.setHeader('content-type', 'text/html').end('<title>app</title><p>Signed in')
        })
        await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
        t.teardown(() => {
          listener.close()
          listener.closeAllConnections()
        })
        const redirectUri = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/callback`
        const { verifier, challenge } = newPair()
        await signIn(page, authorizationUrl(publicUrl, 'evil', redirectUri, challenge))
        const requested = page.waitForRequest((request) => request.url().startsWith(redirectUri))
        await page.click('a')
        const request = await requested
        t.equal((await request.allHeaders()).referer, undefined, 'no referrer (RFC 9700 §4.2)')
        await page.waitForSelector('text=Signed in')
        t.equal(received.length, 1)
        const tokens = await redeem(publicUrl, `http://127.0.0.1${received[0]}`, redirectUri, verifier)
        t.equal(tokens.status, 200)

        await page.goBack()
        t.equal(await page.textContent('h1'), 'Return to the app')
        const me = await app.inject({
          url: '/me',
          headers: { authorization: `Bearer ${tokens.access_token}` },
        })
        t.equal(me.statusCode, 200)
      },
    )

    await t.test('the cookie is there, and no script can read it (RFC 9700 §4.7, A-18)', async (t) => {
      const { context, page } = await privateWindow(t)
      await page.goto(authorizationUrl(publicUrl, 'evil', SCHEME_URI, newPair().challenge))
      t.match(
        (await context.cookies()).filter(({ name }) => name.startsWith('pkce-')),
        [{ httpOnly: true, sameSite: 'Lax', path: '/', domain: '127.0.0.1' }],
      )
      await page.goto(`${publicUrl}/oauth2/authorize`)
      t.notMatch(await page.evaluate('document.cookie'), 'pkce-')
    })

    await t.test('a link to the callback from another browser gives nothing (B-04)', async (t) => {
      const { page } = await privateWindow(t)
      const url = authorizationUrl(publicUrl, 'evil', SCHEME_URI, newPair().challenge)
      const attacker = { username: 'alice', password: 'any', until: `${publicUrl}/oauth2/callback` }
      const { redirectTo } = await login(url, attacker)
      t.match(redirectTo, /\?.*state=pks_/)
      await page.goto(redirectTo)
      t.match(await page.textContent('p'), 'another browser')
      t.equal(await page.locator('a').count(), 0)
    })

    await t.test('errors look the same as everything else, and long names break (A-22, A-23)', async (t) => {
      const { page, said } = await privateWindow(t)
      await page.goto(`${publicUrl}/oauth2/authorize?client_id=%3Cscript%3Ealert(1)%3C/script%3E`)
      t.equal(await page.textContent('h1'), 'This app made a mistake')
      t.notMatch(await page.content(), 'alert')
      await picture(page, 'error')
      for (const client of ['long', 'nice']) {
        const url = authorizationUrl(publicUrl, client, `com.example.${client}:/cb`, newPair().challenge)
        await page.goto(`${url}&scope=admin`)
        await page.setViewportSize({ width: 320, height: 640 })
        const width = await page.evaluate('document.documentElement.scrollWidth')
        t.ok(Number(width) <= 320, `${width} px wide`)
        await picture(page, client)
      }
      t.same(
        said.filter((line) => !line.includes('the server responded with a status of 400')),
        [],
      )
    })
  })
}
