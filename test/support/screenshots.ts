/**
 * Makes the pictures of the demo page in docs/images, out of the demo as it runs: a login, a call, and the attacks.
 *
 *     npm run screenshots    # the demo's own ports must be free: they are in the picture
 */
import { mkdir, stat } from 'node:fs/promises'
import { launchBrowser } from './chromium.ts'
import { DemoVisitor, startDemo } from './demo-page.ts'

const FOLDER = 'docs/images'
/** A README's picture is loaded by everybody. */
const BYTES_MAX = 200_000

const demo = await startDemo()
const browser = await launchBrowser()
try {
  await mkdir(FOLDER, { recursive: true })
  for (const scheme of ['light', 'dark'] as const) {
    const visitor = await DemoVisitor.open(browser, demo.origin, { width: 1280, scheme, isStill: true })
    await visitor.signIn('alice')
    await visitor.press('attack-all')
    await visitor.press('call')
    await visitor.press('wrong-verifier')
    const { page } = visitor
    // The call as well: what passes is drawn beside what does not.
    await page.locator('.run-toggle[aria-expanded=false]').first().click()
    await page.locator('#diagram').evaluate('(diagram) => diagram.scrollTo(0, 0)')
    await page.evaluate('scrollTo(0, 0); document.activeElement.blur()')
    await page.mouse.move(0, 0)
    const path = `${FOLDER}/demo-${scheme}.png`
    await page.screenshot({ path })
    const { size } = await stat(path)
    process.stdout.write(`${path}: ${size} bytes\n`)
    if (size > BYTES_MAX) process.exitCode = 1
    await visitor.close()
  }
} finally {
  await browser.close()
  await demo.stop()
}
