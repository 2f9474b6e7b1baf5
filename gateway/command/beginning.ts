import { GUIDES, PRESET_NAMES, PRESETS, type PresetName } from '../../plugin/api/internal.ts'
import { nearestOf } from '../../plugin/index.ts'

/** A configuration to begin with, and what to do with it. */
export interface Beginning {
  /** YAML with comments. `check` names what is left to fill in. */
  readonly file: string
  /** What to register where, and the next commands. */
  readonly steps: string
}

/** @throws RangeError for a name that is no preset's, with the nearest. */
export function beginningFor(name: string, fileName: string): Beginning {
  if (!PRESET_NAMES.includes(name as PresetName)) {
    const known = `the presets are ${PRESET_NAMES.join(', ')}`
    throw new RangeError(
      `there is no preset ${JSON.stringify(name)}; did you mean ${nearestOf(name, PRESET_NAMES)}? (${known})`,
    )
  }
  const preset = name as PresetName
  return { file: configurationFor(preset), steps: stepsFor(preset, fileName) }
}

function configurationFor(preset: PresetName): string {
  const { where } = GUIDES[preset]
  return `# A gateway in front of an API, with sign-in at ${nameOf(preset)}.
# Every option: docs/options.md. What the preset stands for: pkce-gateway check --print --config FILE

# Fill in: the https origin at which apps reach this gateway, e.g. https://api.example.com.
# For a first try on this machine: http://127.0.0.1:3000
publicUrl: ""

provider:
  preset: ${preset}
  # Fill in: from ${where}
  clientId: ""
${credentialsFor(preset)}${needsOf(preset)}
# Your apps. A redirect URI is compared byte for byte; the scheme is a domain of yours, turned around.
clients:
  - clientId: com.example.app
    name: Example app
    redirectUris: [com.example.app:/callback]
    scopes: [api]

# Your APIs. A request goes on only with a session that has the scopes.
upstreams:
  - prefix: /api
    target: http://127.0.0.1:8080
    scopes: [api]

# Sessions are in memory, and end with the process. For more than one instance, or to keep them:
# store: { type: redis, urlFile: redis-url }
# secretsFile: secrets       # one per line, each made by: pkce-gateway secret
`
}

function credentialsFor(preset: PresetName): string {
  if (PRESETS[preset].options.clientAuthentication === 'apple') {
    return `  # Fill in: the team, the key's id, and the .p8 file itself, here beside this file.
  teamId: ""
  keyId: ""
  privateKeyFile: apple-key.p8
`
  }
  return `  # A file beside this one that holds the client secret and nothing else (chmod 600).
  clientSecretFile: provider-secret
`
}

function needsOf(preset: PresetName): string {
  const needs = Object.entries(PRESETS[preset].needs ?? {})
  return needs
    .map(([key, what]) => `  # Fill in: ${what}\n  ${key}: ${key === 'tenants' ? '[]' : '""'}\n`)
    .join('')
}

function stepsFor(preset: PresetName, fileName: string): string {
  const { where, redirectUris, logoutUri, steps, refresh, quirks } = GUIDES[preset]
  const toDo = [
    `At ${where}:`,
    ...steps.map((step) => `  - ${step}`),
    `  - Register <publicUrl>/oauth2/callback as ${redirectUris}, character for character.`,
    ...(logoutUri === undefined
      ? []
      : [`  - For logouts: register <publicUrl>/oauth2/backchannel-logout as ${logoutUri}.`]),
    '',
    `Fill in what is empty in ${fileName}, then:`,
    `  pkce-gateway check --config ${fileName}`,
    `  pkce-gateway doctor --config ${fileName}`,
    `  pkce-gateway --config ${fileName}`,
    '',
    'To know:',
    `  - ${refresh}`,
    ...quirks.map((quirk) => `  - ${quirk}`),
  ]
  return `${toDo.join('\n')}\n`
}

function nameOf(preset: PresetName): string {
  return String(PRESETS[preset].options.name)
}
