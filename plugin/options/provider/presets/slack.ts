import type { Preset } from './preset.ts'

/** Source: Slack, "Sign in with Slack", and its metadata. */
export const slack: Preset = {
  options: {
    name: 'Slack',
    issuer: 'https://slack.com',
    scope: 'openid profile email',
    clientAuthentication: 'client_secret_post',
    // Its token has no end, and no refresh token comes along.
    defaultTokenSeconds: 'never',
  },
}
