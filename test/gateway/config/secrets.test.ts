import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { createServices } from '../../../gateway/app.ts'
import { printConfig } from '../../../gateway/config/print.ts'
import { selfSigned } from '../../support/certificate.ts'
import { file, load, matchAll, minimal, problemsOf, secret } from '../../support/gateway-config.ts'

t.test('every secret can be named by a file; the line breaks around it are not part of it', async (t) => {
  const folder = t.testdir({
    a: `${secret}\n`,
    b: `${secret}\r\n`,
    c: `${secret}\n\n`,
    list: `${'a'.repeat(43)}\n${'b'.repeat(43)}\n`,
    'gateway.yaml': stringify({
      ...minimal(),
      provider: { issuer: 'http://127.0.0.1:4000', clientId: 'gateway', clientSecretFile: 'a' },
      clients: [{ ...minimal().clients[0], authentication: 'client_secret_basic', clientSecretFile: 'b' }],
      resourceServers: [{ clientId: 'rs', clientSecretFile: 'c' }],
      secretsFile: 'list',
    }),
  })
  for (const name of ['a', 'b', 'c', 'list']) chmodSync(join(folder, name), 0o640)
  const { config, effective } = load(join(folder, 'gateway.yaml'))
  const { clients, resourceServers, secrets } = config.plugin
  t.equal(clients[0]?.clientSecret, secret)
  t.equal(resourceServers?.[0]?.clientSecret, secret)
  t.same(secrets, ['a'.repeat(43), 'b'.repeat(43)])
  t.same(config.warnings, [])
  t.notMatch(printConfig(effective), secret)

  const { store, options } = createServices(config)
  t.teardown(() => store.close())
  const read = options.provider?.clientSecret as () => Promise<string>
  t.equal(await read(), secret)
  writeFileSync(join(folder, 'a'), 'rotated\n')
  t.equal(await read(), 'rotated', "the provider's is read again at each use")
  writeFileSync(join(folder, 'a'), '\n')
  await t.rejects(read(), /is empty/)

  chmodSync(join(folder, 'b'), 0o644)
  writeFileSync(join(folder, 'a'), 'rotated\n')
  t.match(load(join(folder, 'gateway.yaml')).config.warnings, [
    /b holds a secret and can be read by every user/,
  ])
})

t.test('a secret file relative to the working directory when the environment names it', async (t) => {
  const folder = t.testdir({ secret: 'from the environment', 'gateway.yaml': stringify(minimal()) })
  const path = file(t, { ...minimal(), provider: { issuer: 'http://127.0.0.1:4000', clientId: 'gateway' } })
  writeFileSync(join(folder, 'secret'), 'x')
  const variable = 'PKCE_GATEWAY_PROVIDER__CLIENT_SECRET_FILE'
  const { config } = load(path, { [variable]: join(folder, 'secret') })
  t.match(config.plugin.provider!, { clientSecretFile: join(folder, 'secret'), clientSecret: undefined })
  matchAll(t, problemsOf(path, { [variable]: 'gateway.yaml.missing' }), [
    new RegExp(`^${variable}: ${process.cwd()}/gateway.yaml.missing cannot be read: ENOENT$`),
  ])
})

t.test('a secret given twice, unreadable, empty or weak is a problem at its own line', async (t) => {
  const folder = t.testdir({
    empty: '\n',
    weak: 'hunter2\n',
    'gateway.yaml': stringify({
      ...minimal(),
      provider: { ...minimal().provider, clientSecretFile: 'empty' },
      clients: [
        {
          clientId: 'a',
          redirectUris: ['com.x:/a'],
          authentication: 'client_secret_post',
          clientSecretFile: 'none',
        },
        {
          clientId: 'b',
          redirectUris: ['com.x:/b'],
          authentication: 'client_secret_post',
          clientSecretFile: 'empty',
        },
      ],
      resourceServers: [{ clientId: 'rs' }],
      secretsFile: 'weak',
    }),
  })
  const problems = problemsOf(join(folder, 'gateway.yaml')).map((line) => line.replaceAll(`${folder}/`, ''))
  matchAll(t, problems, [
    /^file:6:3 provider\.clientSecretFile: is given besides clientSecret: keep one of them$/,
    /clients\[0\]\.clientSecretFile: none cannot be read: ENOENT$/,
    /clients\[1\]\.clientSecretFile: empty is empty$/,
    /resourceServers\[0\]\.clientSecret: is required$/,
    /secretsFile\[0\]: must be at least 32 random bytes/,
  ])
})

t.test('what surrounds a secret is not part of it, in files, variables and lists alike (F-06)', async (t) => {
  const [a, b] = ['a'.repeat(43), 'b'.repeat(43)]
  const folder = t.testdir({
    plain: secret,
    marked: `\uFEFF${secret}\r\n\r\n`,
    spaced: `\n  ${secret}\t\n`,
    list: `\uFEFF\r\n${a} \r\n\r\n\n${b}\n\n`,
  })
  for (const name of ['plain', 'marked', 'spaced', 'list']) chmodSync(join(folder, name), 0o640)
  const { clientSecret: _, ...provider } = minimal().provider
  const path = join(folder, 'gateway.yaml')
  writeFileSync(path, stringify({ ...minimal(), provider }))
  const read = (variables: Record<string, string>) => {
    const { config } = load(path, variables)
    const { clientSecret, clientSecretFile } = config.plugin.provider!
    const { store, options } = createServices(config)
    t.teardown(() => store.close())
    const source = options.provider?.clientSecret
    return {
      config,
      clientSecret,
      clientSecretFile,
      again: typeof source === 'function' ? source : () => source,
    }
  }
  const FILE = 'PKCE_GATEWAY_PROVIDER__CLIENT_SECRET_FILE'
  const VALUE = 'PKCE_GATEWAY_PROVIDER__CLIENT_SECRET'
  for (const [name, warnings] of [
    ['plain', []],
    ['marked', []],
    ['spaced', [/^provider\.clientSecretFile begins or ends with spaces/]],
  ] as const) {
    const named = read({ [FILE]: `${join(folder, name)}\n` })
    t.equal(await named.again(), secret, name)
    t.match(named.config.warnings, warnings)
    t.equal(named.config.warnings.length, warnings.length)
    const given = read({ [VALUE]: readFileSync(join(folder, name), 'utf8') })
    t.equal(await given.again(), secret, name)
    t.equal(given.config.warnings.length, warnings.length)
    t.notMatch(given.config.warnings, [/hunter2/])
  }
  const list = read({ [VALUE]: 'x', PKCE_GATEWAY_SECRETS_FILE: join(folder, 'list') }).config
  t.same(list.plugin.secrets, [a, b])
  t.match(list.warnings, [/^secretsFile begins or ends with spaces/])
  const items = read({ [VALUE]: 'x', PKCE_GATEWAY_SECRETS: JSON.stringify([`${a}\n`, `\uFEFF${b}`]) }).config
  t.same(items.plugin.secrets, [a, b])
})

t.test('a file in another encoding, or with a second line, is told where it is named (F-06)', async (t) => {
  const folder = t.testdir({ lines: 'old\nnew\n', blank: ' \n\t\n' })
  writeFileSync(join(folder, 'utf16'), Buffer.from(`\uFEFF${secret}`, 'utf16le'))
  const { clientSecret: _, ...provider } = minimal().provider
  const path = join(folder, 'gateway.yaml')
  writeFileSync(path, stringify({ ...minimal(), provider }))
  const FILE = 'PKCE_GATEWAY_PROVIDER__CLIENT_SECRET_FILE'
  const problems = (name: string) => problemsOf(path, { [FILE]: join(folder, name) })
  matchAll(t, problems('utf16'), [/^\S+_FILE: .*utf16 is not UTF-8 text$/])
  matchAll(t, problems('blank'), [/^\S+_FILE: .*blank is empty$/])
  matchAll(t, problems('lines'), [/^\S+_FILE: has several lines: a secret is one$/])
})

t.test('a PEM key in one line of a variable has its line breaks back (F-05, F-06)', async (t) => {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const { clientSecret: _, ...provider } = minimal().provider
  const path = file(t, { ...minimal(), provider: { ...provider, clientAuthentication: 'private_key_jwt' } })
  const { config } = load(path, {
    PKCE_GATEWAY_PROVIDER__PRIVATE_KEY: `${privateKey.replaceAll('\n', '\\n')}\n`,
  })
  t.equal(config.plugin.provider?.privateKey, privateKey.trim())
})

t.test(
  "the provider's TLS files are read again at each use, and certificates are no secret (Q-07, F-06)",
  async (t) => {
    const ours = selfSigned('backend.example')
    const other = selfSigned('backend.example')
    const folder = t.testdir({
      ...{ 'ca.pem': other.cert, 'cert.pem': ours.cert, 'key.pem': ours.key },
      'gateway.yaml': stringify({
        ...minimal(),
        provider: {
          ...{
            issuer: 'https://login.example.com',
            clientId: 'gateway',
            clientAuthentication: 'tls_client_auth',
          },
          ...{ caFile: 'ca.pem', clientCertFile: 'cert.pem', clientKeyFile: 'key.pem' },
        },
      }),
    })
    for (const name of ['ca.pem', 'cert.pem', 'key.pem']) chmodSync(join(folder, name), 0o644)
    const { config, effective } = load(join(folder, 'gateway.yaml'))
    t.match(config.warnings, [/key\.pem holds a secret/])
    t.equal(config.warnings.length, 1)
    t.notMatch(printConfig(effective), 'BEGIN')
    t.match(config.plugin.provider!, { caFile: join(folder, 'ca.pem'), ca: undefined, clientKey: undefined })

    const { provider } = createServices(config).options
    if (!provider) throw new Error('one provider')
    t.notOk('caFile' in provider)
    t.equal(await (provider.clientCert as () => Promise<string>)(), ours.cert.trimEnd())
    writeFileSync(join(folder, 'ca.pem'), ours.cert)
    t.equal(await (provider.ca as () => Promise<string>)(), ours.cert.trimEnd())

    writeFileSync(join(folder, 'key.pem'), other.key)
    matchAll(t, problemsOf(join(folder, 'gateway.yaml')), [
      /provider\.clientKeyFile: belongs to another certificate than clientCert$/,
    ])
  },
)
