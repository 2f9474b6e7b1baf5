import { createServer } from 'node:http'
import { close, listen } from '../listening.ts'

/** Where the app is called back after the login (RFC 8252 §7). */
export interface RedirectReceiver {
  readonly redirectUri: string
  /** Opens `redirectTo` as the browser would, and returns what the app receives. */
  receive(redirectTo: string): Promise<URL>
  close(): Promise<void>
}

/** RFC 8252 §7.1: the operating system hands the URI to the app that registered its scheme. */
export function privateUseScheme(): RedirectReceiver {
  return {
    redirectUri: 'com.example.app:/callback',
    receive: async (redirectTo) => new URL(redirectTo),
    close: async () => {},
  }
}

/** RFC 8252 §7.3: the app listens on a loopback port that it picks for this login. */
export async function loopback(): Promise<RedirectReceiver> {
  let deliver = (_url: URL) => {}
  const server = createServer((request, response) => {
    deliver(new URL(request.url ?? '', origin))
    response.end('Signed in. You may close this page.\n')
  })
  const origin = `http://127.0.0.1:${await listen(server, 0)}`
  return {
    redirectUri: `${origin}/callback`,
    async receive(redirectTo) {
      const delivered = new Promise<URL>((resolve) => {
        deliver = resolve
      })
      await (await fetch(redirectTo)).text()
      return delivered
    },
    close: () => close(server),
  }
}
