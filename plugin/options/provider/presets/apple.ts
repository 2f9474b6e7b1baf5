import type { Preset } from './preset.ts'

/** Source: Sign in with Apple, REST API. */
export const apple: Preset = {
  options: {
    name: 'Apple',
    issuer: 'https://appleid.apple.com',
    scope: 'openid name email',
    // Asking for name or email forces it.
    responseMode: 'form_post',
    clientAuthentication: 'apple',
  },
}
