import { createHash, randomBytes } from 'node:crypto'

/**
 * What to try, with complete URLs and commands: a login in the browser that is finished by hand with `curl`.
 * The verifier is made here and shown, which an app never does.
 */
export function guide(demo: {
  publicUrl: string
  providerIssuer: string
  apiOrigin: string
  adminUrl: string
}): string {
  const { publicUrl } = demo
  const codeVerifier = randomBytes(32).toString('base64url')
  const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url')
  const authorizationUrl = `${publicUrl}/oauth2/authorize?${new URLSearchParams({
    response_type: 'code',
    client_id: 'com.example.app',
    redirect_uri: 'com.example.app:/callback',
    scope: 'orders.read',
    state: randomBytes(12).toString('base64url'),
    code_challenge: codeChallenge,
    code_challenge_method: 'S256',
  })}`
  return `
  The gateway is ready, and all of this runs on your machine:

    gateway    ${publicUrl}    what apps talk to; this is the issuer
    provider   ${demo.providerIssuer}    where people sign in, with any name and password
    API        ${demo.apiOrigin}    behind the gateway; it answers what it saw
    admin      ${demo.adminUrl}    /healthz and /readyz

  Open the gateway's address in a browser: an app in a page, each step on a diagram, and attacks to try:

    ${publicUrl}/

  Or watch an app without a screen do all of it, in another terminal:

    npm run demo:app

  Or go step by step:

  1  The API is closed without a token, /status is public:

    curl -i ${publicUrl}/api/orders
    curl -i ${publicUrl}/status

  2  All that an app needs to know is the issuer:

    curl ${publicUrl}/.well-known/oauth-authorization-server

  3  Sign in. Open this in a browser, and copy the address of the link on the last page:

    ${authorizationUrl}

  4  Exchange the code in that address, within a minute:

    curl ${publicUrl}/oauth2/token -d grant_type=authorization_code -d client_id=com.example.app \\
      -d redirect_uri=com.example.app:/callback -d code_verifier=${codeVerifier} \\
      -d code=CODE

  5  Call the API with the access_token of the answer:

    curl ${publicUrl}/api/orders -H 'Authorization: Bearer ACCESS_TOKEN'

  Ctrl-C stops everything. Nothing is kept.
`
}
