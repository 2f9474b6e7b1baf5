/**
 * What frameworks for apps register and send, in whole logins against a real provider (A-04 to A-06, RFC 8252 §7); and
 * what they begin with and have to change.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { file, matchAll, minimal, problemsOf } from '../../support/gateway-config.ts'
import { startGatewayStack } from '../../support/gateway-stack.ts'
import { NativeApp, type Tokens } from '../../support/native-app.ts'

/** Registered, and sent by the app: PORT is where it listens. */
const PRIVATE_USE: readonly (readonly [framework: string, uri: string])[] = [
  ['AppAuth, react-native-app-auth', 'com.example.app:/callback'],
  ['flutter_appauth, Capacitor, Expo', 'com.example.app://callback'],
  ['MSAL', 'msauth.com.example.app://auth'],
  ['SDKs of Auth0', 'com.example.app://example.eu.auth0.com/ios/com.example.app/callback'],
]
const LOOPBACK: readonly (readonly [registered: string, sent: string])[] = [
  ['http://localhost/callback', 'http://localhost:PORT/callback'],
  ['http://localhost:3118/callback', 'http://localhost:PORT/callback'],
  ['http://127.0.0.1/callback', 'http://127.0.0.1:PORT/callback'],
  ['http://127.0.0.1', 'http://127.0.0.1:PORT'],
  ['http://127.0.0.1/', 'http://127.0.0.1:PORT'],
  ['http://127.0.0.1:3118', 'http://127.0.0.1:PORT/'],
]

const stack = await startGatewayStack(t as unknown as Test, (config) => ({
  ...config,
  clients: [...PRIVATE_USE.map(([, uri]) => uri), ...LOOPBACK.map(([uri]) => uri)].map((uri) => ({
    ...{ ...config.clients[0]!, clientId: uri, redirectUris: [uri] },
  })),
}))

/** From the login to a call, a refresh, and the end. @returns where the browser went in the end. */
async function journey(t: Test, app: NativeApp): Promise<URL> {
  const begun = await app.code()
  t.equal(begun.redirect.searchParams.get('state'), begun.state)
  t.equal(begun.redirect.searchParams.get('iss'), stack.publicUrl)
  const answer = await app.redeem(begun)
  t.equal(answer.status, 200, answer.text)
  const { access_token, refresh_token } = answer.json as unknown as Tokens
  t.equal((await app.call(access_token)).status, 200)
  t.equal((await app.refresh(refresh_token)).status, 200)
  return begun.redirect
}

for (const [framework, uri] of PRIVATE_USE) {
  t.test(`${framework}: ${uri}`, async (t) => {
    const redirect = await journey(t, new NativeApp(stack, { clientId: uri, redirectUri: uri }))
    t.ok(redirect.href.startsWith(`${uri}?code=`), redirect.href)
  })
}

for (const [registered, sent] of LOOPBACK) {
  t.test(`${sent}, where ${registered} is registered: it arrives at the app (RFC 8252 §7.3)`, async (t) => {
    const received: string[] = []
    const listener = createServer((request, response) => {
      received.push(request.url ?? '')
      response.end('You may close this window.')
    })
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    t.teardown(() => listener.close())
    const at = (port: number) => sent.replace('PORT', String(port))
    const { port } = listener.address() as AddressInfo
    const app = new NativeApp(stack, { clientId: registered, redirectUri: at(port) })
    const redirect = await journey(t, app)
    await (await fetch(redirect)).text()
    const path = new URL(at(port)).pathname
    t.equal(received.length, 1)
    t.ok(received[0]!.startsWith(`${path}?code=pkc_`), String(received))

    const other = await app.redeem(await app.code(), { redirect_uri: at(port + 1) })
    t.equal(other.json.error, 'invalid_grant', 'another port at the exchange (C-13)')
    const host = registered.includes('localhost') ? '127.0.0.1' : 'localhost'
    const elsewhere = at(port).replace(/localhost|127\.0\.0\.1/, host)
    await t.rejects(app.code({ redirect_uri: elsewhere }), /answered 400/, 'another host')
    await t.rejects(app.code({ redirect_uri: `http://127.0.0.1:${port}/other` }), /answered 400/)
  })
}

for (const uri of ['myapp://callback', 'myapp:/callback', 'exp://127.0.0.1:8081', 'MyApp:/callback']) {
  t.test(`${uri} is refused with what to write in its place, and where in the app (A-06)`, async (t) => {
    const [client] = minimal().clients
    const path = file(t, { ...minimal(), clients: [{ ...client, redirectUris: [uri] }] })
    const problems = problemsOf(path)
    matchAll(t, problems, [
      /^file:\d+:\d+ clients\[0\]\.redirectUris\[0\]: must have a scheme with a dot, in lower case/,
    ])
    const [first, ...more] = problems[0]!.split('\n')
    t.match(first, 'any other app can take the name that it has now (RFC 8252 §7.1)')
    matchAll(t, more, [
      /^ +turn a domain of yours around: com\.example\.app:\/callback, or com\.example\.app:\/\/callback /,
      /^ +and set it in the app too: Expo .*, iOS CFBundleURLSchemes, Android appAuthRedirectScheme/,
    ])
  })
}
