import * as oauth from 'oauth4webapi'

const issuer = new URL('https://api.example.com')
const client: oauth.Client = { client_id: 'com.example.web' }
const redirectUri = 'https://app.example.com/callback'
const options = {} // for http://127.0.0.1: { [oauth.allowInsecureRequests]: true }
const metadata = await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' })
const server = await oauth.processDiscoveryResponse(issuer, metadata)

/** Keep `verifier` and `state` in sessionStorage, then `location.assign(url)`. */
export async function beginLogin() {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const parameters = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'orders.read',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
  return { url: `${server.authorization_endpoint}?${parameters}`, verifier, state }
}

/** On the page of the redirect URI: `address` is `location.href`. Checks `state` and `iss`. */
export async function endLogin(address: string, { verifier, state }: { verifier: string; state: string }) {
  const code = oauth.validateAuthResponse(server, client, new URL(address), state)
  const of = [server, client, oauth.None()] as const
  const response = await oauth.authorizationCodeGrantRequest(...of, code, redirectUri, verifier, options)
  return oauth.processAuthorizationCodeResponse(server, client, response)
}

/** One at a time. Keep what comes back: the old refresh token is used up. */
export async function refresh(refreshToken: string) {
  const response = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), refreshToken, options)
  return oauth.processRefreshTokenResponse(server, client, response)
}
