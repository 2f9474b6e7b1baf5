import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { createServices } from '../../../gateway/app.ts'
import { printConfig } from '../../../gateway/config/print.ts'
import { file, load, matchAll, minimal, problemsOf, secret } from '../../support/gateway-config.ts'

t.test('every secret can be named by a file; one trailing line break is not part of it', async (t) => {
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
  t.equal(resourceServers?.[0]?.clientSecret, `${secret}\n`)
  t.same(secrets, ['a'.repeat(43), 'b'.repeat(43)])
  t.same(config.warnings, [])
  t.notMatch(printConfig(effective), secret)

  const { store, options } = createServices(config)
  t.teardown(() => store.close())
  const read = options.provider.clientSecret as () => Promise<string>
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
  t.match(config.plugin.provider, { clientSecretFile: join(folder, 'secret'), clientSecret: undefined })
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
