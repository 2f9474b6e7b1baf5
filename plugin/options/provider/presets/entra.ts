import type { Preset } from './preset.ts'

/** Source: Microsoft identity platform, "OpenID Connect", and its metadata. For the platform "web". */
export const entra: Preset = {
  options: {
    name: 'Microsoft',
    issuer: 'https://login.microsoftonline.com/organizations/v2.0',
    // Userinfo is Graph's; it refuses tokens of other APIs, which costs its claims only.
    allowedHosts: ['graph.microsoft.com:443'],
    scope: 'openid profile email offline_access',
  },
  needs: { tenants: 'the ids of the tenants whose users may sign in, or * alone for every tenant' },
  console: {
    where:
      'Microsoft Entra admin center, App registrations, the app, Authentication (platform Web) and Certificates & secrets',
    redirectUris: 'a redirect URI of the platform Web',
  },
}
