/** Debian's Chromium, or the browser that `CHROMIUM_BIN` names. */
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import type { Test } from 'tap'

const executablePath = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium'

/** For a test's `skip`: false, or why there is nothing to test with. */
export const withoutBrowser = !existsSync(executablePath) && `NO BROWSER at ${executablePath}`

/** Ends with the test. */
export async function launchChromium(t: Test): Promise<Browser> {
  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  return browser
}

/** Without the services of its own that would call home. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
      ...['--disable-background-networking', '--disable-component-update'],
    ],
  })
}
