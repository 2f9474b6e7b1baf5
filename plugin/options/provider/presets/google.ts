import type { Preset } from './preset.ts'

/** Source: Google Identity, "OpenID Connect", and its metadata. */
export const google: Preset = {
  options: {
    name: 'Google',
    issuer: 'https://accounts.google.com',
    allowedHosts: ['oauth2.googleapis.com:443', 'openidconnect.googleapis.com:443', 'www.googleapis.com:443'],
    // It knows no offline_access: a refresh token comes with access_type, and again only with a new consent.
    scope: 'openid email profile',
    authorizationParams: { access_type: 'offline', prompt: 'consent' },
  },
}
