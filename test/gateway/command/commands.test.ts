/** The commands that need no gateway of ours: each with what it prints, and its exit status. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { configFile, secret, serve, values } from '../../support/gateway-command.ts'
import { runCaptured } from '../../support/run-command.ts'

t.test('secret: 256 new bits, printed or in a file of its own (Q-09)', async (t) => {
  const [one, two] = [await runCaptured(['secret']), await runCaptured(['secret'])]
  t.match(one, { status: 0, stdout: /^[A-Za-z0-9_-]{43}\n$/, stderr: '' })
  t.not(one.stdout, two.stdout)
  const file = join(t.testdir({}), 'secrets')
  t.match(await runCaptured(['secret', '--file', file]), { status: 0, stdout: '' })
  const written = readFileSync(file, 'utf8')
  t.match(written, /^[A-Za-z0-9_-]{43}\n$/)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.match(await runCaptured(['secret', '--file', file]), { status: 1, stderr: /is there already/ })
  t.equal(readFileSync(file, 'utf8'), written, 'nothing is written over')
  const config = join(file, '../gateway.yaml')
  writeFileSync(config, stringify({ ...values(), secretsFile: file, admin: { port: 0, tokenFile: file } }))
  t.match(await runCaptured(['check', '--config', config]), { status: 0, stdout: 'ok\n' })
})

t.test('version, and as a flag of everything (Q-09)', async (t) => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  for (const args of [['version'], ['--version'], ['migrate', '--version']]) {
    t.match(await runCaptured(args), { status: 0, stdout: `${version}\n`, stderr: '' })
  }
})

t.test('check --print: each value says where it comes from, and it loads again (Q-09)', async (t) => {
  const folder = t.testdir({ 'provider-secret': 'x', token: secret.repeat(2) })
  const file = join(folder, 'gateway.yaml')
  writeFileSync(
    file,
    `publicUrl: http://127.0.0.1:3000
provider:
  preset: google
  clientId: ours
  clientSecretFile: provider-secret
clients:
  - clientId: com.example.app
    redirectUris: ["com.example.app:/callback"]
admin: { tokenFile: token }
upstreams:
  - { prefix: /api, target: "http://127.0.0.1:5000" }
store: { type: redis, url: "redis://:${secret}@127.0.0.1" }
secrets: [${Buffer.alloc(32, secret).toString('base64url')}]
`,
  )
  const args = ['--config', file, '--port', '3001']
  const environment = { PKCE_GATEWAY_LIFETIMES: '{"codeSeconds":30}', PKCE_GATEWAY_LOG__LEVEL: 'warn' }
  const { status, stdout } = await runCaptured(['check', '--print', ...args], environment)
  t.equal(status, 0)
  for (const line of [
    `publicUrl: http://127.0.0.1:3000 # ${file}:1`,
    '  port: 3001 # --port',
    '  host: 127.0.0.1 # default',
    '  issuer: https://accounts.google.com # preset google',
    '  codeSeconds: 30 # PKCE_GATEWAY_LIFETIMES',
    '  accessTokenSeconds: 600 # default',
    '  level: warn # PKCE_GATEWAY_LOG__LEVEL',
    `    redirectUris: [ com.example.app:/callback ] # ${file}:8`,
    `  tokenFile: token # ${file}:9`,
    `  - prefix: /api # ${file}:11`,
    `  url: "***" # ${file}:12`,
    `secrets: [ "***" ] # ${file}:13`,
    '    max: 30 # default',
  ]) {
    t.ok(stdout.includes(`\n${line}\n`) || stdout.startsWith(`${line}\n`), line)
  }
  t.notMatch(stdout, secret)
  t.notMatch(stdout, Buffer.alloc(32, secret).toString('base64url'))
  t.match(parse(stdout), { listen: { port: 3001 }, rateLimit: { token: Object } })
  t.same(await runCaptured(['--print-config', ...args], environment), { status, stdout, stderr: '' })

  const json = await runCaptured(['check', '--print', '--json', ...args], environment)
  t.notMatch(json.stdout, secret)
  const { ok, config, origins } = JSON.parse(json.stdout)
  t.equal(ok, true)
  t.same(config, parse(stdout))
  t.match(origins, {
    'listen.port': '--port',
    'upstreams[0].prefix': `${file}:11`,
    'lifetimes.codeSeconds': 'PKCE_GATEWAY_LIFETIMES',
    secrets: `${file}:13`,
  })
})

t.test('check --json: what is wrong and where, status 78 (Q-09)', async (t) => {
  const good = await runCaptured(['check', '--json', '--config', configFile(t, values({ rateLimit: false }))])
  t.equal(good.status, 0)
  t.match(JSON.parse(good.stdout), { ok: true, warnings: [/rateLimit is false/] })
  const path = configFile(t, values({ publicUrl: 'http://example.com' }))
  const bad = await runCaptured(['check', '--json', '--config', path], { PKCE_GATEWAY_TRUST_PROXY: '["x"]' })
  t.equal(bad.status, 78)
  t.equal(bad.stderr, '')
  t.match(JSON.parse(bad.stdout), {
    ok: false,
    problems: [
      { path: 'publicUrl', problem: /https/, source: path, line: 1, column: 1 },
      { path: 'trustProxy[0]', problem: /IP address/, source: 'PKCE_GATEWAY_TRUST_PROXY[0]' },
    ],
  })
})

t.test('admin.tokenFile is judged as a secret (S-01, J-01)', async (t) => {
  const folder = t.testdir({ short: 'abc', odd: 'ü'.repeat(20), empty: '\n', lines: 'a\nb' })
  for (const [name, problem] of [
    ['short', /has fewer than 16 characters.*pkce-gateway secret/],
    ['odd', /holds characters that no bearer token may have/],
    ['empty', /is empty/],
    ['lines', /has several lines/],
    ['none', /cannot be read: ENOENT/],
  ] as const) {
    const config = join(folder, 'gateway.yaml')
    writeFileSync(config, stringify(values({ admin: { port: 0, tokenFile: name } })))
    const { status, stderr } = await runCaptured(['check', '--config', config])
    t.equal(status, 78)
    t.match(stderr, /admin\.tokenFile: /)
    t.match(stderr, problem)
  }
})

t.test('openapi: a valid document of what this configuration has, and no network (Q-09)', async (t) => {
  const provider = { issuer: 'https://login.invalid', clientId: 'ours', clientSecret: secret }
  const { provider: _, ...more } = values()
  const config = configFile(t, {
    ...more,
    routePrefix: '/auth',
    providers: {
      one: provider,
      two: { ...provider, issuer: 'https://two.invalid', responseMode: 'form_post' },
    },
    clients: [{ clientId: 'app', redirectUris: ['com.example.app:/callback'], scopes: ['orders.read'] }],
  })
  const { status, stdout, stderr } = await runCaptured(['openapi', '--config', config])
  t.match({ status, stderr }, { status: 0, stderr: '' })
  t.notMatch(stdout, secret)
  const document = JSON.parse(stdout)
  const result = await new Validator().validate(structuredClone(document))
  t.ok(result.valid, JSON.stringify(result.errors))
  t.same(
    Object.entries(document.paths).map(([path, methods]) => [path, Object.keys(methods as object).join()]),
    [
      ['/auth/authorize', 'get'],
      ['/auth/callback/one', 'get'],
      ['/auth/callback/two', 'post'],
      ['/auth/par', 'post'],
      ['/auth/token', 'post'],
      ['/auth/revoke', 'post'],
      ['/auth/userinfo', 'get,post'],
      ['/auth/sessions', 'get'],
      ['/auth/sessions/{id}', 'delete'],
      ['/auth/introspect', 'post'],
      ['/auth/backchannel-logout/one', 'post'],
      ['/auth/backchannel-logout/two', 'post'],
      ['/auth/jwks', 'get'],
      ['/.well-known/oauth-authorization-server', 'get'],
      ['/.well-known/openid-configuration', 'get'],
    ],
  )
  t.match(document.components.securitySchemes.pkce.flows.authorizationCode, {
    tokenUrl: 'http://127.0.0.1:3000/auth/token',
    scopes: { 'orders.read': '' },
  })
  const broken = structuredClone(document)
  broken.paths['/auth/token'].post.responses = []
  t.notOk((await new Validator().validate(broken)).valid, 'the validator can tell')
})

t.test('healthcheck: 0 or 1, by the configured address, whatever else is wrong (Q-09)', async (t) => {
  let isReady = true
  const asked: string[] = []
  const origin = await serve(t, ({ url = '' }, response) => {
    asked.push(url)
    response.statusCode = isReady || url === '/healthz' ? 200 : 503
    response.end('{"status":"…"}')
  })
  const port = Number(new URL(origin).port)
  // The gateway was started with something else: what is written now is wrong, and names files that are not there.
  const path = configFile(
    t,
    values({ publicUrl: 'nonsense', admin: { host: '0.0.0.0', port, tokenFile: 'none' } }),
  )
  t.match(await runCaptured(['healthcheck', '--config', path]), { status: 0, stdout: '{"status":"…"}\n' })
  t.match(await runCaptured(['healthcheck', '--ready', '--admin', origin]), { status: 0 })
  isReady = false
  t.match(await runCaptured(['healthcheck', '--ready'], { PKCE_GATEWAY_CONFIG: path }), { status: 1 })
  const environment = { PKCE_GATEWAY_ADMIN__PORT: String(port) }
  t.match(await runCaptured(['healthcheck'], environment), { status: 0 })
  t.match(await runCaptured(['healthcheck'], { PKCE_GATEWAY_ADMIN__HOST: '::', ...environment }), {
    status: 0,
  })
  t.same(asked, ['/healthz', '/readyz', '/readyz', '/healthz', '/healthz'])

  t.match(await runCaptured(['healthcheck', '--admin', 'http://127.0.0.1:1']), {
    status: 1,
    stderr: /no admin listener answers \(http:\/\/127\.0\.0\.1:1: ECONNREFUSED\): is the gateway running/,
  })
  // It takes connections, and says nothing.
  const silent = await serve(t, () => {})
  t.match(await runCaptured(['healthcheck', '--admin', silent]), { status: 1, stderr: /nothing within 5 s/ })
  for (const [environment, status, stderr] of [
    [{ PKCE_GATEWAY_ADMIN__PORT: '0' }, 2, /admin\.port is 0/],
    [{ PKCE_GATEWAY_ADMIN__PORT: 'x' }, 1, /PKCE_GATEWAY_ADMIN__PORT/],
    [{ PKCE_GATEWAY_CONFIG: 'none.yaml' }, 1, /none\.yaml.*ENOENT/],
  ] as const) {
    t.match(await runCaptured(['healthcheck'], environment), { status, stderr })
  }
})

t.test('a command starts without the gateway, the plugin and any package (Q-09)', async (t) => {
  const loaded = new Set<string>()
  follow('gateway/main.ts')
  follow('gateway/command/command.ts')
  t.ok(loaded.has('gateway/command/commands/healthcheck.ts'))
  t.ok(loaded.has('gateway/command/admin-client.ts'))
  const others = [...loaded].filter(
    (file) => !file.startsWith('gateway/command/') && !file.startsWith('node:'),
  )
  t.same(new Set(others), new Set(['gateway/main.ts', 'gateway/operations/admin/version.ts']))

  /** What is imported at once, and not when it is used. */
  function follow(file: string): void {
    if (loaded.has(file)) return
    loaded.add(file)
    if (!file.startsWith('gateway/')) return
    for (const [, imported = ''] of readFileSync(file, 'utf8').matchAll(
      /^import (?!type )[^']*'([^']+)'/gm,
    )) {
      follow(imported.startsWith('.') ? normalize(join(dirname(file), imported)) : imported)
    }
  }
})
