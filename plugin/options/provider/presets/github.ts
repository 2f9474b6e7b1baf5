import type { Preset } from './preset.ts'

/** An OAuth app. Source: GitHub, "Authorizing OAuth apps". */
export const github: Preset = {
  options: {
    name: 'GitHub',
    // It has no metadata and no OpenID; the issuer is for our records.
    issuer: 'https://github.com',
    authorizationEndpoint: 'https://github.com/login/oauth/authorize',
    tokenEndpoint: 'https://github.com/login/oauth/access_token',
    userinfoEndpoint: 'https://api.github.com/user',
    allowedHosts: ['api.github.com:443'],
    scope: 'read:user',
    subjectClaim: 'id',
    clientAuthentication: 'client_secret_post',
    // Its token has no end, and no refresh token comes along.
    defaultTokenSeconds: 'never',
  },
}

/** A GitHub App, which has permissions and no scopes. Source: GitHub, "Generating a user access token for a GitHub App". */
export const githubApp: Preset = {
  options: {
    ...github.options,
    scope: '',
    // Eight hours and a refresh token; where that is switched off in the app's settings, it is as above.
    defaultTokenSeconds: 'never',
  },
}
