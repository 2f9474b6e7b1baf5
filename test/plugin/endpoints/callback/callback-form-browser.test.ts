import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import type { BrowserContext } from 'playwright-core'
import t, { type Test } from 'tap'
import pkce, { type ProviderOptions } from '../../../../plugin/index.ts'
import { launchChromium, withoutBrowser } from '../../../support/chromium.ts'
import { freePort } from '../../../support/gateway-stack.ts'
import { CHALLENGE } from '../../../support/plugin-app.ts'

/**
 * A browser posts the form of another site, and the binding cookie comes along: `localhost` and `127.0.0.1` are two
 * sites. A cookie of `SameSite=Lax` stays behind, which is why `form_post` has one of its own.
 */
async function startOtherSite(t: Test): Promise<string> {
  const server = createServer((request, response) => {
    const { searchParams: sent } = new URL(request.url ?? '', 'http://localhost')
    response.writeHead(200, { 'content-type': 'text/html' })
    // The authorization endpoint of a provider, and whatever page an attacker has: both post at once.
    response.end(`<form method="post" action="${sent.get('redirect_uri')}">
      <input name="state" value="${sent.get('state')}"><input name="code" value="provider-code"></form>
      <script>document.forms[0].submit()</script>`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://localhost:${(server.address() as AddressInfo).port}`
}

/** Each provider answers by a form, or by a redirect where it is called `plain`. */
async function startApp(t: Test, site: string, names: readonly (string | undefined)[]) {
  const port = await freePort()
  const publicUrl = `http://127.0.0.1:${port}`
  const posted: { path: string; cookie: string }[] = []
  const app = fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  app.addHook('onRequest', async ({ method, url, headers }) => {
    if (method === 'POST') posted.push({ path: url, cookie: headers.cookie ?? '' })
  })
  const options = (name = ''): ProviderOptions => ({
    // Nobody asks it for its metadata.
    issuer: `${site}/${name}`,
    ...{ clientId: 'gateway', clientSecret: 'gateway-secret', scope: 'api' },
    ...(name !== 'plain' && { responseMode: 'form_post' }),
    ...{ authorizationEndpoint: `${site}/authorize`, tokenEndpoint: `${site}/token` },
  })
  const [first] = names
  await app.register(pkce, {
    publicUrl,
    ...(first === undefined
      ? { provider: options() }
      : { providers: Object.fromEntries(names.map((name) => [name, options(name)])) }),
    clients: [{ clientId: 'app', name: 'Example', redirectUris: ['com.example.app:/cb'] }],
  } as Parameters<typeof pkce>[1])
  await app.listen({ host: '127.0.0.1', port })
  const authorizeUrl = (name?: string) =>
    `${publicUrl}/oauth2/authorize?${new URLSearchParams({
      ...{ client_id: 'app', redirect_uri: 'com.example.app:/cb', response_type: 'code', state: 's' },
      ...{ code_challenge: CHALLENGE, code_challenge_method: 'S256' },
      ...(name !== undefined && { identity_provider: name }),
    })}`
  return { publicUrl, posted, authorizeUrl }
}

/** A login under way in this browser. @returns where it is sent. */
async function begin(context: BrowserContext, url: string): Promise<URL> {
  const response = await context.request.get(url, { maxRedirects: 0 })
  return new URL(response.headers().location!)
}

t.test('forms of another site, in a real browser (B-01, B-04, A-18)', { skip: withoutBrowser }, async (t) => {
  const site = await startOtherSite(t)
  const browser = await launchChromium(t)
  const newContext = async (t: Test) => {
    const context = await browser.newContext()
    t.teardown(() => context.close())
    return context
  }

  for (const names of [[undefined], ['apple', 'plain']]) {
    const [name] = names
    const path = name === undefined ? '/oauth2/callback' : `/oauth2/callback/${name}`

    t.test(`${path}: the provider's form brings the cookie along, which is then cleared`, async (t) => {
      const { publicUrl, authorizeUrl, posted } = await startApp(t, site, names)
      const context = await newContext(t)
      const page = await context.newPage()
      await page.goto(authorizeUrl(name))
      await page.waitForURL(publicUrl + path)
      await page.waitForSelector('h1 >> text=Continue to')
      t.match(await page.getAttribute('a', 'href'), /^com\.example\.app:\/cb\?code=pkc_/)
      t.match(posted, [{ path, cookie: /^pkce-[\w-]{22}=/ }])
      t.same(await context.cookies(publicUrl), [], 'the cookie is cleared')
    })

    t.test(`${path}: in another browser it gives nothing, and the login is over`, async (t) => {
      const { publicUrl, authorizeUrl } = await startApp(t, site, names)
      const context = await newContext(t)
      const there = await begin(context, authorizeUrl(name))
      const stranger = await (await newContext(t)).newPage()
      await stranger.goto(there.href)
      await stranger.waitForURL(publicUrl + path)
      t.equal(await stranger.locator('a').count(), 0)
      const page = await context.newPage()
      await page.goto(there.href)
      await page.waitForURL(publicUrl + path)
      t.equal(await page.locator('a').count(), 0)
    })

    t.test(
      `${path}: an attacker's form with a login of his own gives nothing, the user's goes on`,
      async (t) => {
        const { publicUrl, authorizeUrl, posted } = await startApp(t, site, [
          name,
          ...(name ? ['plain'] : []),
        ])
        const his = await begin(await newContext(t), authorizeUrl(name))
        const context = await newContext(t)
        const own = await begin(context, authorizeUrl(name))
        const page = await context.newPage()
        for (const lure of [his.search, `?redirect_uri=${publicUrl}${path}&state=pks_guess`]) {
          await page.goto(`${site}/lure${lure}`)
          await page.waitForURL(publicUrl + path)
          t.equal(await page.textContent('h1'), 'Return to the app')
          t.equal(await page.locator('a').count(), 0)
        }
        t.equal(posted.filter(({ cookie }) => cookie !== '').length, 2, "the user's own cookie came along")
        t.equal((await context.cookies(publicUrl)).length, 1, 'and is still there')
        await page.goto(own.href)
        await page.waitForSelector('h1 >> text=Continue to')
      },
    )

    t.test(`${path}: GET is refused and consumes nothing`, async (t) => {
      const { publicUrl, authorizeUrl } = await startApp(t, site, names)
      const context = await newContext(t)
      const there = await begin(context, authorizeUrl(name))
      const page = await context.newPage()
      const got = await page.goto(`${publicUrl}${path}?state=${there.searchParams.get('state')}&code=c`)
      t.equal(got?.status(), 405)
      t.equal(await page.locator('a').count(), 0)
      await page.goto(there.href)
      await page.waitForSelector('h1 >> text=Continue to')
    })
  }

  t.test('without form_post: a form of another site is refused, and comes without the cookie', async (t) => {
    const { publicUrl, authorizeUrl, posted } = await startApp(t, site, ['plain', 'apple'])
    const context = await newContext(t)
    const there = await begin(context, authorizeUrl('plain'))
    const page = await context.newPage()
    await page.goto(there.href)
    await page.waitForURL(`${publicUrl}/oauth2/callback/plain`)
    t.match(posted, [{ path: '/oauth2/callback/plain', cookie: '' }], 'SameSite=Lax')
    t.equal(await page.locator('a').count(), 0)
    // The link of another site brings it along.
    await page.goto(`${site}/lure?redirect_uri=about:blank`)
    const state = there.searchParams.get('state')
    await page.evaluate(`location.href = '${publicUrl}/oauth2/callback/plain?state=${state}&code=c'`)
    await page.waitForSelector('h1 >> text=Continue to')
  })
})
