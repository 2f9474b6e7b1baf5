import type { Browser, BrowserContext, Page } from 'playwright-core'
import { runDemo } from './demo-process.ts'

const SECRETS = ['code', 'code_verifier', 'state', 'request_uri', 'access_token', 'refresh_token']

/** How a window looks. */
export interface Look {
  readonly width: number
  readonly scheme: 'light' | 'dark'
  /** Nothing is animated. */
  readonly isStill?: boolean
  /** Each button is pressed with the keyboard. */
  readonly hasKeyboard?: boolean
}

/** A running demo. */
export interface RunningDemo {
  readonly origin: string
  /** @returns its exit status. */
  stop(): Promise<number | null>
}

/** Starts the demo in a process of its own. @param ports from `freePorts`; none: the demo's own. */
export async function startDemo(ports: Record<string, string> = {}): Promise<RunningDemo> {
  const demo = runDemo('start', [], ports)
  await demo.printed('Ctrl-C')
  return {
    origin: `http://127.0.0.1:${ports.DEMO_GATEWAY_PORT ?? 3000}`,
    async stop() {
      demo.child.kill('SIGTERM')
      return demo.exit
    },
  }
}

/** A person at the demo page, in a browser of their own. */
export class DemoVisitor {
  readonly page: Page
  /** What a console showed, and what was asked of anything but this machine. */
  readonly complaints: string[] = []
  /** What went over the wire and may be nowhere on the page. */
  readonly secrets = new Set<string>()
  readonly #context: BrowserContext
  readonly #origin: string
  readonly #look: Look

  private constructor(context: BrowserContext, page: Page, origin: string, look: Look) {
    this.#context = context
    this.page = page
    this.#origin = origin
    this.#look = look
    page.on('console', (message) => this.complaints.push(`console ${message.type()}: ${message.text()}`))
    page.on('pageerror', (error) => this.complaints.push(`error: ${error.message}`))
    page.on('requestfailed', (request) => {
      const { errorText = '' } = request.failure() ?? {}
      // An event stream ends with its page.
      if (!request.url().includes('/demo/events')) this.complaints.push(`${request.url()}: ${errorText}`)
    })
    context.on('request', (request) => {
      const { protocol, hostname } = new URL(request.url())
      if (hostname !== '127.0.0.1' && protocol !== 'data:') this.complaints.push(`asked ${request.url()}`)
      this.#keepSecrets(new URL(request.url()).searchParams)
      this.#keepSecrets(new URLSearchParams(request.postData() ?? ''))
    })
    context.on('response', async (response) => {
      if (!response.url().endsWith('/oauth2/token') || response.status() !== 200) return
      this.#keepSecrets(Object.entries((await response.json()) as Record<string, string>))
    })
  }

  /** Opens the page. */
  static async open(browser: Browser, origin: string, look: Look): Promise<DemoVisitor> {
    const { width, scheme, isStill = false } = look
    const context = await browser.newContext({
      viewport: { width, height: width < 600 ? 844 : 880 },
      colorScheme: scheme,
      reducedMotion: isStill ? 'reduce' : 'no-preference',
    })
    const visitor = new DemoVisitor(context, await context.newPage(), origin, look)
    await visitor.page.goto(`${origin}/`)
    await visitor.#rests()
    return visitor
  }

  /** From the page to the provider, through its two forms and the gateway's page, and back. */
  async signIn(username: string): Promise<void> {
    const { page } = this
    await this.#activate('#sign-in')
    await page.locator('input[name=login]').fill(username)
    await page.locator('input[name=password]').fill('any')
    await this.#activate('button[type=submit]')
    await page.getByRole('heading', { name: 'Authorize' }).waitFor()
    await this.#activate('button[type=submit]')
    await page.getByRole('link', { name: 'Continue to Demo page' }).waitFor()
    await this.#activate('a')
    await page.waitForURL(`${this.#origin}/`)
    await this.#rests()
  }

  /** Presses a button of the page, and waits until what it does is done and drawn. */
  async press(id: string): Promise<void> {
    await this.#activate(`#${id}`)
    await this.#rests()
  }

  /** The text of one element. */
  async textOf(selector: string): Promise<string> {
    return (await this.page.locator(selector).first().textContent()) ?? ''
  }

  close(): Promise<void> {
    return this.#context.close()
  }

  async #activate(selector: string): Promise<void> {
    const button = this.page.locator(selector)
    if (!this.#look.hasKeyboard) return button.click()
    await button.focus()
    await this.page.keyboard.press('Enter')
  }

  #keepSecrets(fields: Iterable<[string, string]>): void {
    for (const [name, value] of fields) if (SECRETS.includes(name)) this.secrets.add(value)
  }

  #rests(): Promise<void> {
    return this.page.locator('body[data-busy=false]').waitFor()
  }
}
