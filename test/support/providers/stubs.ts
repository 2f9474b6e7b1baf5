/** The facts of every preset's provider, and what is ours there: all that a team would write. */
import type { GatewayInput } from '../../../gateway/config/schemas/gateway.ts'
import type { PresetName } from '../../../plugin/options/provider/presets/presets.ts'
import { apple, KEY_ID, p8, TEAM_ID } from './apple.ts'
import type { Facts } from './facts.ts'
import { github, githubApp } from './github.ts'
import { google } from './google.ts'
import { entra, microsoftPersonal, TENANT } from './microsoft.ts'
import { auth0, cognito, gitlab, keycloak, okta } from './own-domain.ts'
import { discord, facebook, linkedin, slack } from './social.ts'
import { CLIENT_ID, CLIENT_SECRET } from './stub.ts'

export const FACTS: Readonly<Record<PresetName, Facts>> = {
  ...{ google, apple, entra, 'microsoft-personal': microsoftPersonal },
  ...{ auth0, okta, keycloak, cognito },
  ...{ github, 'github-app': githubApp, gitlab },
  ...{ facebook, linkedin, slack, discord },
}

/** Besides preset, client id and secret. */
const BLANKS: Readonly<Partial<Record<PresetName, Partial<GatewayInput['provider']>>>> = {
  entra: { tenants: [TENANT] },
  auth0: { domain: 'example.eu.auth0.com' },
  okta: { domain: 'example.okta.com' },
  keycloak: { domain: 'login.example.com', realm: 'shop' },
  cognito: {
    domain: 'example.auth.eu-central-1.amazoncognito.com',
    region: 'eu-central-1',
    userPoolId: 'eu-central-1_AbCdEfGhI',
  },
}

/** `provider` with a preset and its blanks, and nothing else. */
export function withBlanks(preset: PresetName): GatewayInput['provider'] {
  const credentials =
    preset === 'apple' ? { teamId: TEAM_ID, keyId: KEY_ID, privateKey: p8 } : { clientSecret: CLIENT_SECRET }
  return { preset, clientId: CLIENT_ID, ...credentials, ...BLANKS[preset] }
}
