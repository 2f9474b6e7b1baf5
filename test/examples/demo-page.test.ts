import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { mask } from '../../examples/demo/mask.ts'
import { maskedFields } from '../../examples/demo/page/masked-fields.ts'
import { launchChromium, withoutBrowser } from '../support/chromium.ts'
import { DemoVisitor, type Look, startDemo } from '../support/demo-page.ts'
import { freePorts } from '../support/demo-process.ts'

/** The demo page in Debian's Chromium, against the demo as `npm start` runs it: nothing in between is played. */
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const attacks = {
  'wrong-verifier': 'code_verifier_mismatch',
  'replayed-code': 'code_replayed',
  'other-browser': 'browser_mismatch',
  'provider-token': 'token_unknown',
  'spoofed-header': 'token_absent',
}
const looks: Look[] = [
  { width: 390, scheme: 'light', hasKeyboard: true, isStill: true },
  { width: 390, scheme: 'dark', isStill: true },
  { width: 1280, scheme: 'light', isStill: true },
  { width: 1280, scheme: 'dark', isStill: true },
]

t.test('the demo page', { skip: withoutBrowser }, async (t) => {
  const ports = await freePorts()
  const demo = await startDemo(ports)
  t.teardown(async () => {
    await demo.stop()
  })
  const browser = await launchChromium(t)

  for (const look of looks) {
    await t.test(`every button, at ${look.width} pixels, ${look.scheme}`, async (t) => {
      await walk(t, await DemoVisitor.open(browser, demo.origin, look), demo.origin)
    })
  }

  await t.test('the arrows appear one after the other', async (t) => {
    const visitor = await DemoVisitor.open(browser, demo.origin, { width: 1280, scheme: 'light' })
    t.teardown(() => visitor.close())
    const { page } = visitor
    await page.evaluate(`new MutationObserver(() => {
      (window.counts ??= new Set()).add(document.querySelectorAll('.step').length)
    }).observe(document.getElementById('runs'), { childList: true, subtree: true })`)
    await visitor.press('wrong-verifier')
    const steps = await page.locator('.step').count()
    t.ok(steps >= 4)
    t.equal(await page.evaluate('window.counts.size'), steps + 1, 'each by itself')
  })

  await t.test('an attack that reaches the API is told as one that was not refused', async (t) => {
    const visitor = await DemoVisitor.open(browser, demo.origin, {
      width: 1280,
      scheme: 'light',
      isStill: true,
    })
    t.teardown(() => visitor.close())
    // What a hole in the gateway would be to the API: a request, while the attack is under way.
    await visitor.page.route('**/demo/other-browser', async (route) => {
      await fetch(`http://127.0.0.1:${ports.DEMO_API_PORT}/orders`)
      await route.continue()
    })
    await visitor.press('wrong-verifier')
    t.equal(await visitor.textOf('#verdict-wrong-verifier'), 'NOT refused: 400, upstream requests: 1')
    t.equal(await outcomeOf(visitor, 'wrong-verifier'), 'succeeded')
  })

  await t.test(
    'an attack that is answered as if it were none is told as one that was not refused',
    async (t) => {
      const visitor = await DemoVisitor.open(browser, demo.origin, {
        width: 1280,
        scheme: 'light',
        isStill: true,
      })
      t.teardown(() => visitor.close())
      await visitor.page.route('**/api/orders*', (route) => route.fulfill({ status: 200, json: {} }))
      await visitor.press('spoofed-header')
      t.equal(await visitor.textOf('#verdict-spoofed-header'), 'NOT refused: 200, upstream requests: 0')
      // Nor does an outage count as a refusal.
      await visitor.page.route('**/api/orders*', (route) => route.fulfill({ status: 503, json: {} }))
      await visitor.press('spoofed-header')
      t.equal(await outcomeOf(visitor, 'spoofed-header'), 'undecided')
    },
  )

  await t.test('a login that is cancelled at the provider says so', async (t) => {
    const visitor = await DemoVisitor.open(browser, demo.origin, {
      width: 390,
      scheme: 'light',
      isStill: true,
    })
    t.teardown(() => visitor.close())
    const { page } = visitor
    await page.locator('#sign-in').click()
    await page.getByRole('link', { name: 'Cancel' }).click()
    await page.getByRole('link', { name: 'Return to Demo page' }).click()
    await page.locator('.run .verdict[data-outcome]').waitFor()
    t.equal(await visitor.textOf('.run .verdict'), 'The login ended with access_denied')
    t.equal(await visitor.textOf('#state'), 'Signed out')
    t.same(visitor.complaints, [])
  })

  await t.test('the page brings its own rules, and what is not the page needs a session', async (t) => {
    const page = await fetch(`${demo.origin}/`)
    t.match(
      page.headers.get('content-security-policy'),
      /^default-src 'none'; script-src 'self'; style-src 'self'/,
    )
    t.notMatch(page.headers.get('content-security-policy'), /unsafe|http|\*|data:/)
    t.equal(page.headers.get('referrer-policy'), 'no-referrer')
    for (const path of ['/nothing', '/tsconfig.json', '/server.ts', '/demo/nothing']) {
      t.equal((await fetch(demo.origin + path)).status, 404, path)
    }
    t.equal((await fetch(`${demo.origin}/api/orders`)).status, 401)
    t.equal((await fetch(`${demo.origin}/demo/other-browser`)).status, 404)
    const ask = (body: string, type: string) =>
      fetch(`${demo.origin}/demo/other-browser`, { method: 'POST', body, headers: { 'content-type': type } })
    t.equal((await ask('{}', 'text/plain')).status, 415, 'what another page could send unasked')
    t.equal(
      (await ask('{"url":"http://127.0.0.1:1/"}', 'application/json')).status,
      400,
      'not a way to elsewhere',
    )
    t.equal((await ask('{', 'application/json')).status, 400)
    t.equal((await ask('null', 'application/json')).status, 400)
    t.equal((await ask(`"${'x'.repeat(9000)}"`, 'application/json')).status, 413)
  })

  await t.test('the demo stops at once, with a page that listens', async (t) => {
    const visitor = await DemoVisitor.open(browser, demo.origin, { width: 390, scheme: 'light' })
    t.teardown(() => visitor.close())
    const begun = performance.now()
    t.equal(await demo.stop(), 0)
    t.ok(performance.now() - begun < 10_000, 'the stream is ended, and not waited for')
  })
})

t.test('the page masks as the demo does', async (t) => {
  const place = new URL('../../examples/demo/page/public/mask.js', import.meta.url).href
  const page = (await import(place)) as { mask: typeof mask; maskedFields: typeof maskedFields }
  for (const secret of ['', 'short', 'Bearer pka_0123456789abcdefghijklmnop', 'x'.repeat(100)]) {
    t.equal(page.mask(secret), mask(secret))
  }
  const fields = ['code', 'code_verifier', 'state', 'nonce', 'request_uri', 'access_token', 'refresh_token']
  const secrets = [...fields, 'id_token', 'token', 'client_secret', 'authorization'].map(
    (name) => [name, 'a-credential-that-nobody-shows'] as const,
  )
  for (const masked of [page.maskedFields(secrets), maskedFields(secrets)]) {
    t.equal(Object.keys(masked).length, secrets.length)
    t.notMatch(JSON.stringify(masked), 'credential')
  }
  t.same(page.maskedFields([['scope', 'orders.read']]), { scope: 'orders.read' })
})

/** The whole flow, then every attack. */
async function walk(t: Test, visitor: DemoVisitor, origin: string): Promise<void> {
  const { page } = visitor
  t.teardown(() => visitor.close())
  t.equal(await visitor.textOf('#state'), 'Signed out')
  await isAccessible(t, page, 'at the start')

  await visitor.press('call')
  t.equal(await visitor.textOf('.run .verdict'), 'Refused: 401 token_absent', 'no token, no call')

  await visitor.signIn('alice')
  t.equal(page.url(), `${origin}/`, 'the code is out of the address')
  t.equal(await visitor.textOf('#state'), 'Signed in as alice')
  const signIn = await stepsOf(page)
  for (const [from, to, title] of [
    ['App', 'Gateway', 'GET /oauth2/authorize'],
    ['Gateway', 'Provider', 'POST /request'],
    ['App', 'Provider', 'GET /auth'],
    ['App', 'Provider', 'POST name and password'],
    ['App', 'Provider', 'POST consent'],
    ['App', 'Gateway', 'GET /oauth2/callback'],
    ['App', 'Gateway', 'POST /oauth2/token'],
    ['Gateway', 'Provider', 'POST /token'],
  ]) {
    t.equal(signIn.filter((step) => step === `${from} to ${to}: ${title}`).length, 1, `${title}, once`)
  }
  const [proved, exchanged, active] = ['code_verifier', 'POST /token', 'session.activated'].map((title) =>
    signIn.findIndex((step) => step.includes(title) && !step.includes('/oauth2/')),
  ) as [number, number, number]
  t.ok(0 < proved && proved < exchanged && exchanged < active, 'proved, then exchanged, then active')

  const before = await apiRequests(origin)
  await visitor.press('call')
  t.equal(await visitor.textOf('.run .verdict'), '200, and the API was told who: alice')
  t.equal(await apiRequests(origin), before + 1)
  t.equal(await visitor.textOf('#count'), String(before + 1))
  t.match(await stepsOf(page), [
    /./,
    /checked/,
    'Gateway to API: GET /orders?limit=1',
    'API to Gateway: 200 ',
  ])
  const old = await visitor.textOf('#access')
  await visitor.press('refresh')
  t.equal(await visitor.textOf('.run .verdict'), 'Both tokens are new')
  t.not(await visitor.textOf('#access'), old)
  await visitor.press('revoke')
  t.equal(await visitor.textOf('#state'), 'Revoked')
  await visitor.press('call')
  t.match(await visitor.textOf('.run .verdict'), /^Refused: 401 token_unknown/)
  await visitor.press('refresh')
  t.match(await visitor.textOf('.run .verdict'), /^Refused: 400 /)

  const afterFlow = await apiRequests(origin)
  for (const [id, reason] of Object.entries(attacks)) {
    await visitor.press(id)
    const verdict = `Refused: ${reason}, upstream requests: 0`
    t.equal(await visitor.textOf(`#verdict-${id}`), verdict, id)
    t.equal(await outcomeOf(visitor, id), 'refused')
    t.ok((await visitor.textOf('#said')).includes(verdict), 'and it is said')
    t.ok(
      (await stepsOf(page)).some((step) => step.replace('.', '_').includes(reason)),
      'and it is on the diagram',
    )
  }
  await visitor.press('attack-all')
  await page.locator('body[data-busy=false]').waitFor()
  t.equal(await apiRequests(origin), afterFlow, 'nothing has reached the API')

  await page.locator('.run-toggle[aria-expanded=false]').first().click()
  const note = page.locator('li[data-kind=note][data-tone=refused] .step:visible').first()
  await note.focus()
  await page.keyboard.press('Enter')
  t.equal(await note.getAttribute('aria-expanded'), 'true')
  t.match(
    await page.locator('.details:visible').textContent(),
    /why.+token.+\./,
    'a step opens, and says why',
  )
  await isAccessible(t, page, 'after everything')
  t.equal(
    await page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
    true,
    'nothing is wider than the window',
  )
  await holdsNoSecret(t, visitor)
  t.same(visitor.complaints, [], 'no word in the console, and nothing asked of anybody else')
}

/** The steps of the newest run, as a screen reader says them. */
async function stepsOf(page: Page): Promise<string[]> {
  const steps = await page.locator('.run:first-child .step').allTextContents()
  return steps.map((step) => step.replace(/\s+/g, ' '))
}

async function outcomeOf({ page }: DemoVisitor, id: string): Promise<string | null> {
  return page.locator(`#verdict-${id}`).getAttribute('data-outcome')
}

async function apiRequests(origin: string): Promise<number> {
  const state = await (await fetch(`${origin}/demo/state`)).json()
  return (state as { apiRequests: number }).apiRequests
}

async function isAccessible(t: Test, page: Page, when: string): Promise<void> {
  await page.evaluate(axe)
  const found = (await page.evaluate('axe.run()')) as {
    violations: { id: string; nodes: { html: string }[] }[]
  }
  const violations = found.violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)])
  t.same(violations, [], `axe finds nothing ${when}`)
}

/** Neither what went over the wire nor anything as long as a token. A challenge is as long, and none. */
async function holdsNoSecret(t: Test, { page, secrets }: DemoVisitor): Promise<void> {
  const texts = await page.evaluate<string[]>(`(() => {
    const found = []
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) {
      const { parentElement, data } = walker.currentNode
      if (parentElement.previousSibling?.textContent !== 'code_challenge') found.push(data)
    }
    return found
  })()`)
  const shown = texts.join(' ')
  t.ok(shown.includes('code_verifier') && shown.includes('refresh_token'), 'they are there, masked')
  const kept = await page.evaluate<string>('JSON.stringify(sessionStorage)')
  t.ok(secrets.size > 12, `${secrets.size} secrets went over the wire`)
  for (const secret of secrets) t.notOk(shown.includes(secret) || kept.includes(secret))
  t.same(shown.match(/[\w-]{40,}/g), null, 'nothing that is as long as a token')
  t.same(kept.replace(/code_challenge[\\":]+[\w-]{43}/g, '').match(/[\w-]{40,}/g), null, 'nor in the storage')
}
