import { statSync } from 'node:fs'
import { providerPath, providersOf } from '../../../plugin/api/internal.ts'
import { formatPath } from '../../../plugin/index.ts'
import type { GatewayConfig, StoreConfig } from '../../config/schemas/config.ts'
import { rereadSecret, type SecretFile } from '../../config/secrets.ts'
import { type Finding, finding } from './finding.ts'
import { isLoopback } from './node.ts'
import type { Subject } from './subject.ts'

const PART = 'secrets'
/** Of 8 random bytes in hexadecimal digits: less can be tried out at a login page, or offline. */
const SHORT = 16
/** Of 32 random bytes, thirty differ on average. */
const LEAST_DIFFERENT = 20
const EXAMPLES =
  /^(?:(?:my|the|your|a|client|gateway|provider|app|test|dev|demo|redis|postgres|super)?[-_ ]?(?:secret|password|passwd|pass)[-_]?(?:key|value|here|[0-9]{0,4})|change[-_ ]?(?:me|it)|replace[-_ ]?me|hunter2|example|postgres|admin|foobared|test|dev)$/i
const REPEATED = /^(.{1,16})\1+$/

interface Secret {
  readonly key: string
  readonly value: string
}

/** Length, likeness and whereabouts of the secrets. None of them is in a finding. */
export async function diagnoseSecrets({ loaded }: Subject): Promise<Finding[]> {
  const { config } = loaded
  const secrets = await secretsOf(config)
  const code = isLoopback(config.plugin.publicUrl) ? 'secret_example' : 'secret_guessable'
  const findings = [
    ...secrets.flatMap(({ key, value }) => {
      if (isGuessable(key, value)) return [finding(PART, code, { slots: { key } })]
      return value.length < SHORT
        ? [finding(PART, 'secret_short', { slots: { key, length: SHORT - 1 } })]
        : []
    }),
    ...repeated(secrets),
    ...[...loaded.secretFiles, ...keyFiles(config)].flatMap(ofFile),
  ]
  if (findings.length > 0) return findings
  return [finding(PART, 'secrets_sound', { slots: { count: secrets.length } })]
}

async function secretsOf({ plugin, store, admin }: GatewayConfig): Promise<Secret[]> {
  const own = (plugin.secrets ?? []).map((value, n) => ({ key: `secrets[${n}]`, value }))
  const providers = providersOf(plugin).map(async ([name, { clientSecret, clientSecretFile }]) => {
    const value = clientSecretFile === undefined ? clientSecret : await rereadSecret(clientSecretFile)
    return { key: formatPath([...providerPath(name), 'clientSecret']), value: value ?? '' }
  })
  const owners = (['clients', 'resourceServers'] as const).flatMap((list) =>
    plugin[list].map(({ clientSecret = '' }, n) => ({
      key: formatPath([list, n, 'clientSecret']),
      value: clientSecret,
    })),
  )
  const token = { key: 'admin.tokenFile', value: admin.bearerToken ?? '' }
  const all = [...own, ...(await Promise.all(providers)), ...owners, ...ofStore(store), token]
  return all.filter(({ value }) => value !== '')
}

/** The password in the URL, if there is one. Those of Sentinel and LISTEN may be the same. */
function ofStore(store: StoreConfig): Secret[] {
  if (store.type === 'memory') return []
  const [, password = ''] = /^[^/]+\/\/[^:@/]*:([^@/]*)@/.exec(store.url) ?? []
  // As it is written: it is compared, and not sent.
  return [{ key: 'store.url (its password)', value: password }]
}

function isGuessable(key: string, value: string): boolean {
  if (EXAMPLES.test(value) || REPEATED.test(value)) return true
  // Random bytes by the rules of the configuration; other secrets may be words.
  return (
    key.startsWith('secrets[') &&
    new Set(Buffer.from(value, 'base64url').subarray(0, 32)).size < LEAST_DIFFERENT
  )
}

function repeated(secrets: readonly Secret[]): Finding[] {
  const first = new Map<string, string>()
  return secrets.flatMap(({ key, value }) => {
    const other = first.get(value)
    if (other === undefined) first.set(value, key)
    return other === undefined ? [] : [finding(PART, 'secret_repeated', { slots: { key, other } })]
  })
}

/** Private keys are named by files alone. */
function keyFiles({ listen, upstreams, store }: GatewayConfig): SecretFile[] {
  const trust = store.type === 'memory' ? undefined : store.trust
  const named: [string, string | undefined][] = [
    ['listen.tls.keyFile', listen.tls?.keyFile],
    ['store.clientKeyFile', trust?.clientKeyFile],
    ...upstreams.map(
      ({ clientKeyFile }) => ['upstreams[].clientKeyFile', clientKeyFile] as [string, string | undefined],
    ),
  ]
  return named.flatMap(([key, file]) => (file === undefined ? [] : [{ key, file }]))
}

function ofFile({ key, file }: SecretFile): Finding[] {
  const { mode, uid } = statSync(file)
  // Whose file it is not may have to read it by its group.
  const isOwn = uid === process.getuid?.()
  const isWritable = (mode & 0o022) !== 0
  const isReadable = (mode & (isOwn ? 0o044 : 0o004)) !== 0
  if (!isWritable && !isReadable) return []
  const what = isWritable ? 'changed' : 'read'
  const slots = { file, key, what, mode: (mode & 0o777).toString(8).padStart(4, '0') }
  return [finding(PART, 'secret_file_open', { slots })]
}
