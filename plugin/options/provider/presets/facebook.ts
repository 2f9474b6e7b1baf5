import type { Preset } from './preset.ts'

/**
 * The OAuth flow; the one with OpenID is in testing. Source: Facebook Login, "Manually build a login flow". No address
 * has a version: it is the oldest that the app may use.
 */
export const facebook: Preset = {
  options: {
    name: 'Facebook',
    // It has no metadata; the issuer is for our records.
    issuer: 'https://www.facebook.com',
    authorizationEndpoint: 'https://www.facebook.com/dialog/oauth',
    tokenEndpoint: 'https://graph.facebook.com/oauth/access_token',
    userinfoEndpoint: 'https://graph.facebook.com/me?fields=id,name,email',
    allowedHosts: ['graph.facebook.com:443'],
    scope: 'public_profile email',
    subjectClaim: 'id',
    clientAuthentication: 'client_secret_post',
    // Sixty days, which the answer says, and no refresh token.
  },
}
