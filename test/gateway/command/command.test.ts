import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { connect } from 'node:tls'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { runCommand, type Started } from '../../../gateway/command/command.ts'
import type { GatewayInput } from '../../../gateway/config/schemas/gateway.ts'
import { loggerOptions, readable } from '../../../gateway/operations/log/log.ts'
import { selfSigned } from '../../support/certificate.ts'
import {
  Command,
  configFile,
  publicHost,
  secret,
  send,
  serve,
  slowServer,
  values,
} from '../../support/gateway-command.ts'
import { until } from '../../support/wait.ts'

t.test('wrong usage exits with 2 and says what is wrong (design, Gateway configuration)', async (t) => {
  const cases: [string[], RegExp][] = [
    [['--confg', 'x'], /^pkce-gateway: Unknown option '--confg'/],
    [['--config'], /^pkce-gateway: Option '--config <value>' argument missing/],
    [['gateway.yaml'], /^pkce-gateway: unknown command "gateway.yaml"/],
    [[], /^pkce-gateway: there is no configuration: give --config FILE/],
  ]
  for (const [args, message] of cases) {
    const { status, stderr, stdout } = await inProcess(t, args)
    t.equal(status, 2, args.join(' '))
    t.match(stderr, message)
    t.match(stderr, 'Try pkce-gateway --help.')
    t.equal(stdout, '')
  }
})

t.test('--help and --version exit with 0 (design, Gateway configuration)', async (t) => {
  const help = await inProcess(t, ['--help'])
  t.equal(help.status, 0)
  for (const word of [
    '--config FILE',
    '--config-test',
    '--print-config',
    '--log-level',
    'healthcheck',
    'PKCE_GATEWAY_',
    '78',
  ]) {
    t.match(help.stdout, word)
  }
  const version = await inProcess(t, ['--version'])
  t.equal(version.status, 0)
  t.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
})

t.test('--config-test prints ok, or every problem with status 78 (design)', async (t) => {
  const good = await inProcess(t, ['--config-test', '--config', configFile(t, values({ rateLimit: false }))])
  t.equal(good.status, 0)
  t.equal(good.stdout, 'ok\n')
  t.match(good.stderr, /^warning: rateLimit is false/m)

  const path = configFile(t, values({ publicUrl: 'http://example.com', trustProxy: ['loopback'] }))
  const bad = await inProcess(t, ['--config-test'], { PKCE_GATEWAY_CONFIG: path })
  t.equal(bad.status, 78)
  t.equal(bad.stdout, '')
  const lines = bad.stderr.trimEnd().split('\n')
  t.equal(lines.length, 3)
  t.equal(lines[0], 'pkce-gateway: invalid configuration')
  t.match(lines[1], `${path}:1:1 publicUrl: must be`)
  t.match(lines[2], / trustProxy\[0\]: must be an IP address/)
})

t.test('--config-test: one run tells what every stage finds, each at its place', async (t) => {
  const folder = t.testdir({
    'gateway.yaml': `publicUrl: https://api.example.com
listen:
  tls: { certFile: tls.crt, keyFile: missing.key }
provider:
  issuer: http://login.example.com
  clientId: gateway
  clientAuthentication: private_key_jwt
  privateKeyFile: provider.key
clients:
  - clientId: app
    redirectUris: ["myapp:/cb"]
    clientSecretFile: missing.txt
trustProxy: [loopback]
store: { type: redis, urlFile: url }
log: { level: loud }
`,
    'tls.crt': 'no certificate',
    'missing.key': secret,
    'provider.key': secret,
    url: `http://:${secret}@h`,
  })
  const file = join(folder, 'gateway.yaml')
  const { status, stdout, stderr } = await inProcess(t, ['--config-test', '--config', file, '--port', 'x'], {
    PKCE_GATEWAY_LISTNE__HOST: 'x',
    PKCE_GATEWAY_LIFETIMES: '{"codeSeconds":61}',
  })
  t.equal(status, 78)
  t.equal(stdout, '')
  t.notMatch(stderr, secret)
  const lines = stderr.replaceAll(file, 'file').replaceAll(`${folder}/`, '').trimEnd().split('\n')
  const expected = [
    /^pkce-gateway: invalid configuration$/,
    /^file:1:1 secrets: is required unless the store is memory/,
    /^file:3:10 listen\.tls\.certFile: tls\.crt is no certificate \(PEM\)$/,
    /^file:5:3 provider\.issuer: must be https/,
    /^file:8:3 provider\.privateKeyFile: is not a private key/,
    /^file:11:20 clients\[0\]\.redirectUris\[0\]: must have a scheme with a dot/,
    /^ {4}turn a domain of yours around: com\.example\.app:/,
    /^ {4}and set it in the app too: /,
    /^file:12:5 clients\[0\]\.clientSecretFile: missing\.txt cannot be read: ENOENT$/,
    /^file:13:14 trustProxy\[0\]: must be an IP address/,
    /^file:14:23 store\.urlFile: the Redis URL must be/,
    /^file:15:8 log\.level: must be one of/,
    /^--port: must be a whole number$/,
    /^PKCE_GATEWAY_LIFETIMES\.codeSeconds: must be 1 to 60$/,
    /^PKCE_GATEWAY_LISTNE__HOST: is not known/,
  ]
  t.match(lines, expected)
  t.equal(lines.length, expected.length, stderr)
})

t.test('--print-config shows what is in effect, without secrets (design, J-01)', async (t) => {
  const { status, stdout } = await inProcess(
    t,
    ['--print-config', '--config', configFile(t, values()), '--port', '3001'],
    { PKCE_GATEWAY_SECRETS: JSON.stringify([Buffer.alloc(32, secret).toString('base64url')]) },
  )
  t.equal(status, 0)
  t.match(stdout, /port: 3001/)
  t.match(stdout, /clientSecret: "\*\*\*"/)
  t.notMatch(stdout, secret)
  t.notMatch(stdout, Buffer.alloc(32, secret).toString('base64url'))
})

t.test('the process itself exits with 78, without a stack trace (design)', async (t) => {
  const command = new Command(t, [
    '--config',
    configFile(t, { ...values(), publicUrl: 'http://example.com' }),
  ])
  t.equal(await command.exited, 78)
  t.match(command.stderr[0], 'pkce-gateway: invalid configuration')
  t.notMatch(command.stderr.join('\n'), /^ +at /m)
})

t.test(
  "wrong metadata of the provider stops the start, at the issuer's line (design, RFC 8414 §3.3)",
  async (t) => {
    const origin = await serve(t, (_request, response) => {
      response.setHeader('content-type', 'application/json').end('{"issuer":"https://other.example"}')
    })
    const provider = { issuer: origin, clientId: 'gateway', clientSecret: secret }
    const { status, stderr } = await inProcess(t, ['--config', configFile(t, values({ provider }))])
    t.equal(status, 78)
    t.match(stderr, /gateway\.yaml:\d+:3 provider\.issuer: /)
  },
)

t.test('a port in use exits with 1 and says which, and what to do (design)', async (t) => {
  const taken = Number(new URL(await serve(t, () => {})).port)
  for (const key of ['listen', 'admin'] as const) {
    const { status, stderr } = await inProcess(t, [
      '--config',
      configFile(t, values({ [key]: { port: taken } })),
    ])
    t.equal(status, 1)
    t.equal(
      stderr,
      `pkce-gateway: listen EADDRINUSE 127.0.0.1:${taken}: another process uses the port; change ${key}.port or stop it\n`,
    )
  }
})

t.test('several workers with the memory store: exit 78, and what to do (G-13)', async (t) => {
  const path = configFile(t, values({ workers: 2 }))
  for (const args of [[], ['--config-test']]) {
    const { status, stdout, stderr } = await inProcess(t, [...args, '--config', path])
    t.equal(status, 78)
    t.equal(stdout, '')
    t.match(
      stderr,
      /^pkce-gateway: invalid configuration\n\S+gateway\.yaml:\d+:1 workers: must be 1 with the memory store, .* redis or postgres\n$/,
    )
  }
})

t.test('an unreachable provider: up, healthy, and degraded: sessions are served (H-31, Q-06)', async (t) => {
  const command = new Command(t, ['--config', configFile(t, values()), '--log-level', 'error'])
  const { url, adminUrl } = await command.ready()

  const healthz = await send(`${adminUrl}/healthz`)
  t.equal(healthz.status, 200)
  t.equal(healthz.body, '{"status":"ok"}')
  const readyz = await send(`${adminUrl}/readyz`)
  t.equal(readyz.status, 200)
  t.match(JSON.parse(readyz.body), {
    status: 'degraded',
    checks: { forwarding: 'ok', store: 'ok', draining: false },
  })
  t.not(JSON.parse(readyz.body).checks.provider, 'ok')

  for (const path of ['/healthz', '/readyz']) {
    t.equal((await send(url + path)).status, 404, 'nothing of it on the public listener')
  }
})

t.test('SIGTERM: a request in flight is answered, then the process ends with 0 (K-07)', async (t) => {
  const upstream = await slowServer(t)
  const upstreams = [{ prefix: '/slow', target: upstream.origin, public: true }]
  const command = new Command(t, ['--config', configFile(t, values({ upstreams }))])
  const { url, adminUrl } = await command.ready()

  // An idle connection that is kept alive must not keep the process.
  const idle = new Agent({ keepAlive: true })
  t.teardown(() => idle.destroy())
  await send(`${url}/nothing`, { agent: idle })

  const busy = new Agent({ keepAlive: true })
  t.teardown(() => busy.destroy())
  const answer = send(`${url}/slow/orders`, { agent: busy })
  const held = await upstream.next()
  command.child.kill('SIGTERM')
  await command.logged('closing')
  t.match(JSON.parse((await send(`${adminUrl}/readyz`)).body), {
    status: 'not ready',
    checks: { draining: true },
  })
  await t.rejects(send(`${url}/slow/orders`), { code: 'ECONNREFUSED' }, 'nothing new is accepted')
  held.end('done')
  t.match(await answer, { status: 200, body: 'done' })
  t.equal(await command.exited, 0)
  await command.logged('closed')
})

t.test(
  'shutdown.delayMs: not ready at once, connections are accepted and served for so long, then it drains (K-07)',
  async (t) => {
    const upstream = await slowServer(t, { '/ok': true })
    const upstreams = [{ prefix: '/api', target: upstream.origin, public: true }]
    // The grace begins after the delay: a request may take until then.
    const shutdown = { delayMs: 1000, graceMs: 900 }
    const command = new Command(t, ['--config', configFile(t, values({ upstreams, shutdown }))])
    const { url, adminUrl } = await command.ready()
    const kept = new Agent({ keepAlive: true })
    t.teardown(() => kept.destroy())
    const before = await send(`${url}/api/ok`, { agent: kept })
    t.match(before, { status: 200, headers: { connection: 'keep-alive' } })
    const slow = send(`${url}/api/slow`)
    const held = await upstream.next()

    command.child.kill('SIGTERM')
    await command.logged('closing')
    const from = performance.now()
    t.equal((await send(`${adminUrl}/readyz`)).status, 503)
    t.equal((await send(`${adminUrl}/healthz`)).status, 200)
    const last = { status: 200, headers: { connection: 'close' } }
    t.match(await send(`${url}/api/ok`, { agent: kept }), last, 'on a connection from before')
    let served = 0
    for (;;) {
      const answer = await send(`${url}/api/ok`).catch(({ code }) => code)
      // A reset: of a connection that nobody had accepted when the listener closed.
      if (answer === 'ECONNREFUSED' || answer === 'ECONNRESET') break
      t.match(answer, last)
      served++
    }
    const acceptedMs = performance.now() - from
    t.ok(acceptedMs > 900, `accepted for ${Math.round(acceptedMs)} ms`)
    t.ok(served > 1)
    held.end('done')
    t.match(await slow, { status: 200, body: 'done' })
    t.equal(await command.exited, 0)
  },
)

t.test('SIGTERM with silent connections and half a head: the end comes at once, with 0 (K-07)', async (t) => {
  const command = new Command(t, ['--config', configFile(t, values())])
  const { url } = await command.ready()
  for (const bytes of ['', 'GET / HTTP/1.1\r\nHost: a']) {
    const socket = connectPlain(Number(new URL(url).port), '127.0.0.1').on('error', () => {})
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    socket.write(bytes)
  }
  command.child.kill('SIGTERM')
  await command.logged('closing')
  const from = performance.now()
  t.equal(await command.exited, 0)
  t.ok(performance.now() - from < 5000)
})

t.test(
  'SIGHUP without TLS: what is new in the file counts, and the process goes on (K-07, Q-03)',
  async (t) => {
    const upstream = await slowServer(t, { '/ok': true })
    const upstreams = [{ prefix: '/api', target: upstream.origin, public: true }]
    const path = configFile(t, values())
    const command = new Command(t, ['--config', path])
    const { url } = await command.ready()
    t.equal((await send(`${url}/api/ok`)).status, 404)
    writeFileSync(path, stringify(values({ upstreams })))
    command.child.kill('SIGHUP')
    await command.logged('configuration reloaded')
    await until(async () => (await send(`${url}/api/ok`)).status === 200)
    writeFileSync(path, 'publicUrl: [')
    command.child.kill('SIGHUP')
    t.match(await command.logged('the configuration cannot be used; the one before it stays'), {
      level: 50,
      problems: [/gateway\.yaml:1:\d+ not valid YAML/],
    })
    t.equal((await send(`${url}/api/ok`)).status, 200)
    command.child.kill('SIGTERM')
    t.equal(await command.exited, 0)
  },
)

t.test('SIGHUP with TLS: the certificate is read again, and nothing stops', async (t) => {
  const { cert, key } = selfSigned('gateway.example')
  const folder = t.testdir({ 'tls.crt': cert, 'tls.key': key })
  const tls = { certFile: 'tls.crt', keyFile: 'tls.key' }
  const path = join(folder, 'gateway.yaml')
  const publicUrl = 'https://gateway.example'
  const secrets = [Buffer.alloc(32, 1).toString('base64url')]
  writeFileSync(path, stringify(values({ publicUrl, secrets, listen: { port: 0, tls } })))
  const command = new Command(t, ['--config', path])
  const { url } = await command.ready()
  t.match(url, /^https:/)
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', ca: cert })
  await once(socket, 'secureConnect')
  socket.destroy()
  command.child.kill('SIGHUP')
  await command.logged('certificate reloaded')
  command.child.kill('SIGTERM')
  t.equal(await command.exited, 0)
})

t.test('shutdown.graceMs exceeded: exit 1 with a line that says so (design)', async (t) => {
  const upstream = await slowServer(t)
  const upstreams = [{ prefix: '/slow', target: upstream.origin, public: true }]
  const path = configFile(t, values({ upstreams, shutdown: { graceMs: 50 } }))
  const command = new Command(t, ['--config', path])
  const { url } = await command.ready()
  const answer = t.rejects(send(`${url}/slow`))
  await upstream.next()
  command.child.kill('SIGTERM')
  t.equal(await command.exited, 1)
  await answer
  await command.logged('requests were still in flight after shutdown.graceMs, exiting')
})

t.test('a second signal ends the process at once with 1 (design)', async (t) => {
  const upstream = await slowServer(t)
  const upstreams = [{ prefix: '/slow', target: upstream.origin, public: true }]
  const command = new Command(t, ['--config', configFile(t, values({ upstreams }))])
  const { url } = await command.ready()
  const answer = t.rejects(send(`${url}/slow`))
  await upstream.next()
  command.child.kill('SIGINT')
  await command.logged('closing')
  command.child.kill('SIGINT')
  t.equal(await command.exited, 1)
  await answer
  await command.logged('second signal, exiting at once')
})

t.test('an uncaught exception is logged as fatal and ends the process with 1', async (t) => {
  const trap =
    "data:text/javascript,process.once('message', (m) => { throw Object.assign(new Error(m.text), m) })"
  const command = new Command(t, ['--config', configFile(t, values())], { nodeArgs: [`--import=${trap}`] })
  await command.ready()
  command.child.send({ text: 'boom', body: secret })
  t.equal(await command.exited, 1)
  const line = await command.logged('uncaught error, exiting')
  t.match(line, { level: 60, err: { type: 'Error', message: 'boom', stack: String } })
  t.notMatch(command.stdout.join('\n'), secret)
})

t.test('SIGTERM during the exchange with the provider: the app gets its 200 (K-07)', async (t) => {
  const provider = await slowServer(t, { '/userinfo': { sub: 'alice' } })
  const path = configFile(
    t,
    values({
      provider: {
        issuer: provider.origin,
        clientId: 'gateway',
        clientSecret: secret,
        scope: 'profile',
        authorizationEndpoint: `${provider.origin}/authorize`,
        tokenEndpoint: `${provider.origin}/token`,
        userinfoEndpoint: `${provider.origin}/userinfo`,
      },
    }),
  )
  const command = new Command(t, ['--config', path])
  const { url } = await command.ready()

  const verifier = 'v'.repeat(43)
  const authorize = await send(
    `${url}/oauth2/authorize?${new URLSearchParams({
      response_type: 'code',
      client_id: 'com.example.app',
      redirect_uri: 'com.example.app:/callback',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    })}`,
  )
  t.equal(authorize.status, 302)
  const state = new URL(authorize.headers.location!).searchParams.get('state')!
  const cookie = authorize.headers['set-cookie']![0]!.split(';')[0]!
  const callback = await send(
    `${url}/oauth2/callback?${new URLSearchParams({ code: 'provider-code', state })}`,
    {
      headers: { cookie },
    },
  )
  t.equal(callback.status, 302)
  const code = new URL(callback.headers.location!).searchParams.get('code')!

  const token = send(`${url}/oauth2/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: 'com.example.app',
      redirect_uri: 'com.example.app:/callback',
      code,
      code_verifier: verifier,
    }).toString(),
  })
  const held = await provider.next()
  command.child.kill('SIGTERM')
  await command.logged('closing')
  held.setHeader('content-type', 'application/json')
  held.end(JSON.stringify({ access_token: 'provider-token', token_type: 'Bearer', expires_in: 3600 }))
  const answer = await token
  t.equal(answer.status, 200)
  t.match(JSON.parse(answer.body), { access_token: /^pka_/, token_type: 'Bearer' })
  t.equal(await command.exited, 0)

  const output = command.stdout.join('\n')
  for (const value of [secret, verifier, code, state, 'provider-code', 'provider-token', cookie]) {
    t.notMatch(output, value, 'nothing of it in the log (J-01)')
  }
})

t.test('at a terminal: a banner with the URLs and routes, and readable lines (design)', async (t) => {
  const upstreams: GatewayInput['upstreams'] = [
    { prefix: '/api', target: 'http://127.0.0.1:5000' },
    { prefix: '/status', target: 'http://127.0.0.1:5000/status', public: true },
  ]
  let output = ''
  const stdout = { isTTY: true, write: (text: string) => (output += text) }
  const stderr = { write: (text: string) => (output += text) }
  const started = await runCommand(['--config', configFile(t, values({ upstreams }))], {}, { stdout, stderr })
  t.type(started, 'object', output)
  const { address, adminAddress, stop, announce } = started as Started
  t.teardown(stop)
  announce()
  for (const text of [
    `http://${publicHost}/.well-known/oauth-authorization-server`,
    `http://${publicHost}/oauth2/callback`,
    address,
    `${adminAddress}/readyz`,
    '/api     http://127.0.0.1:5000  [session;',
    '/status  http://127.0.0.1:5000/status  [public; GET HEAD]',
  ]) {
    t.ok(output.includes(text), text)
  }
  t.match(output, new RegExp(`^\\d\\d:\\d\\d:\\d\\d info {2}gateway ready address="${address}"`, 'm'))
})

t.test(
  'a log line holds no query, header or property that a library hung on an error (J-01, J-02, P-6)',
  async (t) => {
    const lines: string[] = []
    const app = Fastify({ logger: loggerOptions('info', { write: (line: string) => void lines.push(line) }) })
    t.teardown(() => app.close())
    app.get('/a', (request) => {
      const cause = Object.assign(new Error(secret), {
        code: 'ECONNREFUSED',
        headers: { authorization: secret },
      })
      const error = Object.assign(new Error('it broke', { cause }), { body: secret, options: { secret } })
      request.log.error({ err: error })
      return 'ok'
    })
    await app.inject({ url: `/a?code=${secret}`, headers: { cookie: secret, authorization: secret } })
    const output = lines.join('')
    t.match(output, /"path":"\/a"/)
    t.match(output, /"message":"it broke"/)
    t.match(output, /ECONNREFUSED/)
    t.notMatch(output, secret)
  },
)

t.test('a terminal cannot be taken over by what a log line quotes (CWE-117, J-03)', async (t) => {
  let output = ''
  const terminal = readable({ write: (text) => (output += text) })
  terminal.write(
    JSON.stringify({ level: 40, time: 0, msg: 'a\u001b[2Jb\nc', req: { path: '/\u001b]0;x\u0007' } }),
  )
  t.equal(output.split('\n').length, 2)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there.
  t.notMatch(output.slice(0, -1), /[\u0000-\u001f]/)
})

/** Runs the command in this process, where it ends by itself. */
async function inProcess(t: Test, args: string[], environment: Record<string, string> = {}) {
  const output = { stdout: '', stderr: '' }
  const status = await runCommand(args, environment, {
    stdout: { write: (text) => (output.stdout += text) },
    stderr: { write: (text) => (output.stderr += text) },
  })
  if (typeof status !== 'number') t.teardown(status.stop)
  return { status, ...output }
}
