/** The page of consent in a real browser, in front of a real provider (N-06). */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { launchChromium, withoutBrowser } from '../../support/chromium.ts'
import { type GatewayStack, startGatewayStack } from '../../support/gateway-stack.ts'
import { send } from '../../support/native-app.ts'
import { newPair } from '../../support/plugin-app.ts'

/** An agent's own server, to which the browser brings the answer. */
async function startAgent(t: Test, { publicUrl }: GatewayStack) {
  const answers: URLSearchParams[] = []
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost')
    if (pathname === '/callback') answers.push(searchParams)
    const frame = searchParams.get('frame')
    response.setHeader('content-type', 'text/html')
    response.end(frame ? `<iframe src="${frame.replaceAll('&', '&amp;')}"></iframe>` : '<title>done</title>')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const registered = await send(`${publicUrl}/oauth2/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_name: '<b>Agent</b>', redirect_uris: [`${origin}/callback`] }),
  })
  const { client_id } = registered.json
  const begin = (): string =>
    `${publicUrl}/oauth2/authorize?${new URLSearchParams({
      ...{ client_id: String(client_id), redirect_uri: `${origin}/callback`, response_type: 'code' },
      ...{ code_challenge: newPair().challenge, code_challenge_method: 'S256', state: 'of-the-agent' },
    })}`
  return { origin, answers, begin }
}

/** Signs in at the provider, and says yes to what it asks. */
async function signIn(page: Page, origin: string): Promise<void> {
  await page.fill('input[name=login]', 'alice')
  await page.fill('input[name=password]', 'password')
  await page.click('button[type=submit]')
  await page.click('button[type=submit]')
  await page.waitForURL(`${origin}/callback?**`)
}

t.test('a person in a browser', { skip: withoutBrowser }, async (t) => {
  const stack = await startGatewayStack(t, (config) => ({
    ...config,
    scopes: [{ name: 'orders.read', description: 'Read your orders' }],
    agents: { registration: {}, scopes: ['orders.read'] },
  }))
  const agent = await startAgent(t, stack)
  const browser = await launchChromium(t)
  const open = async (t: Test): Promise<Page> => {
    const context = await browser.newContext()
    t.teardown(() => context.close())
    return context.newPage()
  }
  const authorizations = () => stack.provider.calls.get('/auth') ?? 0

  await t.test('allows, signs in, and is brought to the agent by redirects alone (N-06)', async (t) => {
    const page = await open(t)
    await page.goto(agent.begin())
    t.equal(await page.textContent('main bdi'), '<b>Agent</b>')
    t.equal(authorizations(), 0, 'the provider has heard of nothing')
    await page.click('button[value=allow]')
    await signIn(page, agent.origin)
    t.ok(agent.answers.pop()?.get('code'))
  })

  await t.test('clicks twice, and has one login (N-06)', async (t) => {
    const page = await open(t)
    await page.goto(agent.begin())
    await page.dblclick('button[value=allow]')
    await signIn(page, agent.origin)
    t.ok(agent.answers.pop()?.get('code'))
    t.equal(agent.answers.length, 0)
  })

  await t.test('denies: the agent is told, the provider is not (N-06)', async (t) => {
    const before = authorizations()
    const page = await open(t)
    await page.goto(agent.begin())
    await page.click('button[value=deny]')
    await page.waitForURL(`${agent.origin}/callback?**`)
    t.equal(agent.answers.pop()?.get('error'), 'access_denied')
    t.equal(authorizations(), before)
  })

  await t.test('sees nothing of it in a frame (N-06, CWE-1021)', async (t) => {
    const page = await open(t)
    await page.goto(`${agent.origin}/?frame=${encodeURIComponent(agent.begin())}`)
    const frame = page.frames()[1]!
    await frame.waitForLoadState()
    t.equal(await frame.locator('button').count(), 0)
  })

  await t.test('is asked again at the next login, though the provider knows the person (N-06)', async (t) => {
    const page = await open(t)
    await page.goto(agent.begin())
    await page.click('button[value=allow]')
    await signIn(page, agent.origin)
    await page.goto(agent.begin())
    t.equal(await page.locator('button[value=allow]').count(), 1)
    agent.answers.pop()
    t.equal(agent.answers.length, 0, 'no silent second code')
  })
})
