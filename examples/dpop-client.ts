import * as oauth from 'openid-client'

type KeyPair = Awaited<ReturnType<typeof oauth.randomDPoPKeyPair>>

/** A browser keeps both keys of the pair in IndexedDB: a script can use the private one, and nobody can read it. */
export function newKey(): Promise<KeyPair> {
  return oauth.randomDPoPKeyPair('ES256', { extractable: false })
}

/** An app whose tokens are of no use without its key. */
export async function boundApp(issuer: string, clientId: string, key: KeyPair) {
  const execute = issuer.startsWith('http:') ? [oauth.allowInsecureRequests] : []
  const config = await oauth.discovery(new URL(issuer), clientId, undefined, oauth.None(), { execute })
  // It remembers the nonces, and sends a request again when it gets a new one.
  const DPoP = oauth.getDPoPHandle(config, key)
  return {
    config,
    /** `dpop_jkt`, for the authorization request: then the code is bound to the key, too. */
    thumbprint: () => DPoP.calculateThumbprint(),
    redeem: (redirect: URL, checks: oauth.AuthorizationCodeGrantChecks) =>
      oauth.authorizationCodeGrant(config, redirect, checks, undefined, { DPoP }),
    refresh: (refreshToken: string) => oauth.refreshTokenGrant(config, refreshToken, undefined, { DPoP }),
    call: (accessToken: string, url: string, method = 'GET') =>
      oauth.fetchProtectedResource(config, accessToken, new URL(url), method, null, undefined, { DPoP }),
  }
}
