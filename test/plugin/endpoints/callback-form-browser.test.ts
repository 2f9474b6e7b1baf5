import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import { chromium } from 'playwright-core'
import t, { type Test } from 'tap'
import pkce from '../../../plugin/index.ts'
import { CHALLENGE } from '../../support/plugin-app.ts'

/**
 * A browser posts the form of another site, and the binding cookie comes along: `localhost` and `127.0.0.1` are two
 * sites. A cookie of `SameSite=Lax` stays behind, which is why `form_post` has one of its own.
 */
const executablePath = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium'

/** A provider whose authorization endpoint posts its answer at once. */
async function startPostingProvider(t: Test): Promise<string> {
  const server = createServer((request, response) => {
    const sent = new URL(request.url ?? '', 'http://localhost').searchParams
    response.writeHead(200, { 'content-type': 'text/html' })
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

async function startApp(t: Test, issuer: string): Promise<string> {
  const app = fastify({ forceCloseConnections: true })
  // Its port is part of publicUrl, so that one which is free is looked for first.
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  const publicUrl = `http://127.0.0.1:${port}`
  await app.register(pkce, {
    publicUrl,
    provider: {
      issuer,
      clientId: 'gateway',
      clientSecret: 'gateway-secret',
      scope: 'api',
      responseMode: 'form_post',
      authorizationEndpoint: `${issuer}/authorize`,
      tokenEndpoint: `${issuer}/token`,
    },
    clients: [{ clientId: 'app', name: 'Example', redirectUris: ['com.example.app:/cb'] }],
  })
  await app.listen({ host: '127.0.0.1', port })
  t.teardown(() => app.close())
  return publicUrl
}

t.test(
  'a real browser brings the cookie along with a form of another site (B-01, A-18)',
  { skip: !existsSync(executablePath) && `NO BROWSER at ${executablePath}` },
  async (t) => {
    const publicUrl = await startApp(t, await startPostingProvider(t))
    const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
    t.teardown(() => browser.close())
    const context = await browser.newContext()
    const page = await context.newPage()
    const query = new URLSearchParams({
      ...{ client_id: 'app', redirect_uri: 'com.example.app:/cb', response_type: 'code', state: 's' },
      ...{ code_challenge: CHALLENGE, code_challenge_method: 'S256' },
    })
    await page.goto(`${publicUrl}/oauth2/authorize?${query}`)
    await page.waitForURL(`${publicUrl}/oauth2/callback`)
    await page.waitForSelector('h1 >> text=Continue to')
    t.match(await page.getAttribute('a', 'href'), /^com\.example\.app:\/cb\?code=pkc_/)
    t.same(await context.cookies(publicUrl), [], 'the cookie is cleared')

    const stranger = await (await browser.newContext()).newPage()
    const begun = await context.request.get(`${publicUrl}/oauth2/authorize?${query}`, { maxRedirects: 0 })
    await stranger.goto(begun.headers().location!)
    await stranger.waitForURL(`${publicUrl}/oauth2/callback`)
    t.equal(await stranger.$('a'), null, 'another browser')
  },
)
