import { type CookieJar, login } from '../../examples/demo/login.ts'
import type { GatewayStack } from './gateway-stack.ts'
import { type Answer, send } from './native-app.ts'

/** A browser of its own: its cookies, and each step of a login as a step. */
export class Browser {
  readonly jar: CookieJar = new Map()
  readonly #stack: Pick<GatewayStack, 'publicUrl'>

  constructor(stack: Pick<GatewayStack, 'publicUrl'>) {
    this.#stack = stack
  }

  /** Opens a URL of the gateway with this browser's cookies, and keeps those it sets. */
  async open(url: URL | string, request: RequestInit = {}): Promise<Answer> {
    const { origin } = new URL(this.#stack.publicUrl)
    const cookies = this.jar.get(origin) ?? new Map<string, string>()
    this.jar.set(origin, cookies)
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ')
    const answer = await send(url, { ...request, ...(cookie !== '' && { headers: { cookie } }) })
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
    return answer
  }

  /** Opens the authorization URL. @returns where the provider's login is. */
  async begin(authorizationUrl: URL): Promise<string> {
    const answer = await this.open(authorizationUrl)
    if (answer.status !== 302) throw new Error(`authorize: ${answer.status} ${answer.text}`)
    return answer.headers.get('location')!
  }

  /** Signs in at the provider. @returns the callback URL, which is not opened yet. */
  async signIn(providerUrl: string, username = 'alice'): Promise<URL> {
    const until = `${this.#stack.publicUrl}/oauth2/callback`
    const { redirectTo } = await login(providerUrl, {
      username,
      password: 'password',
      cookieJar: this.jar,
      until,
    })
    return new URL(redirectTo)
  }
}

/** The app's redirect URI in an answer of the callback: a `Location`, or the link of the page. */
export function redirectOf(answer: Answer): URL | null {
  const location = answer.headers.get('location')
  if (location !== null) return new URL(location)
  const href = /<a href="([^"]*)"/.exec(answer.text)?.[1]
  return href === undefined ? null : new URL(href.replaceAll('&amp;', '&'))
}
