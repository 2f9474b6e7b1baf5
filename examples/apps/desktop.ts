import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as oidc from 'openid-client'

const options = {} // for http://127.0.0.1: { execute: [oidc.allowInsecureRequests] }

/** @param open opens the system browser, such as Electron's `shell.openExternal`. */
export async function logIn(open: (url: string) => unknown): Promise<oidc.TokenEndpointResponse> {
  const issuer = new URL('https://api.example.com')
  const config = await oidc.discovery(issuer, 'com.example.desktop', undefined, oidc.None(), options)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const verifier = oidc.randomPKCECodeVerifier()
  const state = oidc.randomState()
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: `${origin}/callback`, // registered as http://127.0.0.1/callback: any port is right
    scope: 'orders.read',
    state,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
  open(url.href)
  const [request, response] = await once(server, 'request')
  response.end('You may close this window.')
  server.close()
  const callback = new URL(request.url, origin)
  return oidc.authorizationCodeGrant(config, callback, { pkceCodeVerifier: verifier, expectedState: state })
}
