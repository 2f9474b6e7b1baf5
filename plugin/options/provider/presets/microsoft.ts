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
  needs: {
    tenants:
      'the ids of the tenants whose users may sign in, or * alone for every tenant; where the app is registered for ' +
      'one tenant alone, write issuer instead: https://login.microsoftonline.com/<id of the tenant>/v2.0',
  },
}

/** Private accounts alone: they are a tenant of Entra ID, the same everywhere. Source: "ID token claims reference", `tid`. */
export const microsoftPersonal: Preset = {
  options: {
    ...entra.options,
    issuer: 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0',
  },
}
