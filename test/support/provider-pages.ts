import { mkdirSync, writeFileSync } from 'node:fs'
import { stringify } from 'yaml'
import { GUIDES } from '../../plugin/options/provider/guides.ts'
import { PRESET_NAMES, PRESETS, type PresetName } from '../../plugin/options/provider/presets/presets.ts'

/** docs/providers/: a page for each preset, made of its table and its guide, and an index. */

const FOLDER = new URL('../../docs/providers/', import.meta.url)
const NOTE = '<!-- Made by `npm run docs` out of the presets and their guides. -->'

/** What a page shows of `provider`: the preset, its blanks, and who we are there. */
export function sampleOf(preset: PresetName): Record<string, unknown> {
  const isApple = PRESETS[preset].options.clientAuthentication === 'apple'
  return {
    preset,
    clientId: isApple ? 'com.example.gateway' : 'our-client-id',
    ...(isApple ? { privateKeyFile: 'apple-key.p8' } : { clientSecretFile: 'provider-secret' }),
    ...GUIDES[preset].example,
  }
}

/** File names below docs/providers, and what they hold. */
export function providerPages(): Record<string, string> {
  const pages = PRESET_NAMES.map((preset) => [`${preset}.md`, pageOf(preset)])
  return Object.fromEntries([['README.md', indexPage()], ...pages])
}

const HEAD = `# Providers

${NOTE}

A preset is a table of plain options for one provider. \`pkce-gateway init <preset>\` writes a configuration with it and
says what to register. Every key can be overridden; \`--print-config\` shows what a preset stands for.

**What is proved, and what is not.** Each preset logs in, goes on, is cancelled, revoked and refused at a stub of its
provider, under the provider's own host names. The stubs are written from public documentation, and a client that others
have written (arctic) logs in at each of them too. The providers themselves were not asked. Try yours before you rely on
it: a login, a refresh after the access token's end, a cancel, a wrong secret.

| Provider | Preset | Write besides \`clientId\` and the secret | How long a session goes on |
|---|---|---|---|
`

const TAIL = `
## Another provider

With OpenID Connect Discovery its \`issuer\` is enough, next to \`clientId\` and \`clientSecret\`. Without it, see
\`authorizationEndpoint\`, \`tokenEndpoint\`, \`userinfoEndpoint\` and \`subjectClaim\` in the [options](../options.md).

One that you have built yourself, of a package for Node: these were asked themselves, on Node 20, 22 and 24. Each logs
in, renews its sessions, and is told of an app that signs out where it can be told.

| Package | Write besides \`issuer\`, \`clientId\` and the secret | Why |
|---|---|---|
| oidc-provider 9.13 | \`authorizationParams: { prompt: consent }\` | As it comes, a refresh token is given only where the user was asked. |
| @better-auth/oauth-provider 1.7 | – | Its issuer ends in \`/api/auth\`. A redirect URI on \`http://127.0.0.1\` needs a client of \`application_type: native\`. |
| oauth2-mock-server 8.2 | – | For tests alone: it refuses nobody. Set its issuer to \`http://127.0.0.1:PORT\`; by itself it is \`localhost\`. |
| @node-oauth/oauth2-server 5.3 | \`authorizationEndpoint\`, \`tokenEndpoint\`, \`scope\` without \`openid\`; with a route of yours \`userinfoEndpoint\` and \`subjectClaim\` | It has no metadata, no OpenID Connect and no revocation. |
| @openauthjs/openauth 0.4 | \`scope\` without \`openid\`, \`clientAuthentication: client_secret_post\`; with a route of yours also \`authorizationEndpoint\`, \`tokenEndpoint\`, \`userinfoEndpoint\` | It has no OpenID Connect and no revocation, and reads \`client_id\` in the form alone. Without that route its sessions have no user (\`sub\` is \`grant:…\`). Where a used refresh token comes again late, Node 20 fails in it: \`Array.fromAsync\`. |

## Several providers

\`\`\`yaml
providers:
  google: { preset: google, clientId: our-client-id, clientSecretFile: google-secret }
  apple: { preset: apple, clientId: com.example.gateway, teamId: ABCDE12345, keyId: ABC123DEFG, privateKeyFile: apple-key.p8 }
clients:
  - clientId: com.example.app
    redirectUris: [com.example.app:/callback]
    providers: [google, apple]     # default: all of them
\`\`\`

- Each has a callback of its own: register \`<publicUrl>/oauth2/callback/google\` at Google, and so on. For logouts it is
  \`<publicUrl>/oauth2/backchannel-logout/<name>\`.
- The app says which one by the authorization request parameter \`identity_provider=google\`. If it does not, a page lets
  the person choose.
- A user is \`iss\` and \`sub\` together. Equal \`sub\` of two providers are two people, everywhere. Give upstreams both:
  \`identityHeaders: { x-user-issuer: iss, x-user: sub }\`.
- That two of them are one person is known to your own user records alone: look \`iss\` and \`sub\` up there. An email
  address proves it only where the provider has verified it and you trust that provider for its domain.
- One that is down stops its own logins alone. \`/readyz\` names it.
- Going from \`provider\` to \`providers\` keeps all sessions. Logins under way have to be begun again.
`

function indexPage(): string {
  const rows = PRESET_NAMES.map(
    (preset) =>
      `| [${nameOf(preset)}](${preset}.md) | \`${preset}\` | ${blanksOf(preset)} | ${GUIDES[preset].refresh} |\n`,
  )
  return HEAD + rows.join('') + TAIL
}

function blanksOf(preset: PresetName): string {
  const keys = Object.keys(GUIDES[preset].example ?? {})
  return keys.map((key) => `\`${key}\``).join(', ') || '–'
}

function pageOf(preset: PresetName): string {
  const { where, redirectUris, logoutUri, steps, refresh, quirks } = GUIDES[preset]
  const yaml = stringify({ provider: sampleOf(preset) })
  return `# ${nameOf(preset)}: preset \`${preset}\`

${NOTE}

## Register

At ${where}:

${steps.map((step) => `- ${step}\n`).join('')}- Register \`<publicUrl>/oauth2/callback\` as ${redirectUris}, character for character.
${
  logoutUri === undefined
    ? ''
    : `- Register \`<publicUrl>/oauth2/backchannel-logout\` as ${logoutUri}: who signs out there [is signed out here](../sessions.md#the-provider-says-that-it-is-over).\n`
}
## Configure

\`\`\`yaml
${yaml}\`\`\`

The same for the plugin:

\`\`\`ts
${typescriptOf(preset)}
\`\`\`

## Expect

- ${refresh}
${quirks.map((quirk) => `- ${quirk}\n`).join('')}
## What the preset stands for

\`\`\`yaml
${stringify(PRESETS[preset].options)}\`\`\`
`
}

/** Files of the gateway are values of the environment here. */
function typescriptOf(preset: PresetName): string {
  const values = Object.entries(sampleOf(preset)).map(([key, value]) => {
    if (key === 'privateKeyFile') return '  privateKey: process.env.APPLE_KEY!,'
    if (key === 'clientSecretFile') return '  clientSecret: process.env.PROVIDER_SECRET!,'
    return `  ${key}: ${literal(value)},`
  })
  return `const provider = {\n${values.join('\n')}\n} as const`
}

function literal(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(literal).join(', ')}]` : `'${value}'`
}

function nameOf(preset: PresetName): string {
  const name = String(PRESETS[preset].options.name)
  return preset === 'github-app'
    ? `${name} App`
    : preset === 'microsoft-personal'
      ? `${name}, private accounts`
      : name
}

if (process.argv[2] === '--write') {
  mkdirSync(FOLDER, { recursive: true })
  for (const [name, page] of Object.entries(providerPages())) writeFileSync(new URL(name, FOLDER), page)
}
