import type { Preset } from './preset.ts'

/**
 * Sign in with LinkedIn using OpenID Connect, used as plain OAuth 2.0. Source: LinkedIn, "Authorization code flow".
 *
 * It refuses a `code_verifier`, and its id_token has no nonce, so that nothing of LinkedIn's binds a code to the login
 * that it was made for. An id_token that is checked without a nonce would look like such a binding, and be none: it is
 * not read, and who signs in is asked of userinfo with the token that LinkedIn has given to us. What is left: `state`
 * and the browser's cookie, which keep a stranger from finishing somebody's login; our own code, PKCE and S256
 * towards the app; and that LinkedIn's code goes to our callback alone, over https, is shown to no app, and is good for
 * our client only. What is not kept out is whoever reads a code of somebody else before it is redeemed, e.g. in that
 * person's browser, and brings it into a login of his own (RFC 9700 §4.5). A warning at start says so.
 */
export const linkedin: Preset = {
  options: {
    name: 'LinkedIn',
    issuer: 'https://www.linkedin.com/oauth',
    authorizationEndpoint: 'https://www.linkedin.com/oauth/v2/authorization',
    tokenEndpoint: 'https://www.linkedin.com/oauth/v2/accessToken',
    userinfoEndpoint: 'https://api.linkedin.com/v2/userinfo',
    allowedHosts: ['api.linkedin.com:443'],
    // Userinfo wants openid.
    scope: 'openid profile email',
    idToken: 'ignore',
    pkce: 'none',
    clientAuthentication: 'client_secret_post',
    // Sixty days, which the answer says; refresh tokens are for partners.
  },
}
