import type { Preset } from './preset.ts'

/** Source: Discord, "OAuth2". */
export const discord: Preset = {
  options: {
    name: 'Discord',
    // It has no metadata; the issuer is for our records.
    issuer: 'https://discord.com',
    authorizationEndpoint: 'https://discord.com/oauth2/authorize',
    tokenEndpoint: 'https://discord.com/api/oauth2/token',
    revocationEndpoint: 'https://discord.com/api/oauth2/token/revoke',
    userinfoEndpoint: 'https://discord.com/api/users/@me',
    scope: 'identify email',
    subjectClaim: 'id',
  },
}
