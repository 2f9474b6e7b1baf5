/** `pkce-gateway doctor` as a command: a sound installation, one that is not, and what it prints. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { startEchoApi } from '../../../examples/demo/echo.ts'
import { runCommand } from '../../../gateway/command/command.ts'
import type { GatewayInput } from '../../../gateway/config/schemas/gateway.ts'
import { CATALOGUE } from '../../../gateway/operations/doctor/catalogue.ts'
import type { Finding } from '../../../gateway/operations/doctor/finding.ts'
import { Command, configFile, secret } from '../../support/gateway-command.ts'
import { minimal } from '../../support/gateway-config.ts'
import { freePort } from '../../support/gateway-stack.ts'
import { startOidcProvider } from '../../support/node-providers/oidc-provider.ts'
import { noRedis } from '../../support/redis-server.ts'
import { serverFor } from '../../support/redis-store.ts'

const RANDOM = 'Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTAtYWJjZGVm'
const PASSWORD = 'k3Jx9vQ2mW8pLr5TzY7b'

async function run(args: readonly string[], isTTY = false) {
  const written = { stdout: '', stderr: '' }
  const stream = (name: keyof typeof written) => ({
    isTTY,
    write: (text: string) => {
      written[name] += text
    },
  })
  const status = await runCommand(args, {}, { stdout: stream('stdout'), stderr: stream('stderr') })
  return { status, ...written }
}

/** A real provider, Redis and API, and the configuration of a gateway that fits them. */
async function installation(t: Test): Promise<GatewayInput> {
  const port = await freePort()
  const publicUrl = `http://127.0.0.1:${port}`
  const provider = await startOidcProvider(t, `${publicUrl}/oauth2/callback`)
  const api = await startEchoApi()
  t.teardown(() => api.close())
  const redis = await serverFor(t, ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'])
  const admin = new Redis(redis.port, '127.0.0.1')
  await admin.call('ACL', 'SETUSER', 'pkce', 'on', `>${PASSWORD}`, '+@all', '~*', '&*')
  admin.disconnect()
  return {
    ...minimal(),
    publicUrl,
    listen: { port },
    admin: { port: await freePort() },
    provider: {
      ...{ issuer: provider.issuer, clientId: provider.clientId, clientSecret: provider.clientSecret },
      scope: 'openid offline_access',
    },
    store: { type: 'redis', url: `redis://pkce:${PASSWORD}@127.0.0.1:${redis.port}` },
    secrets: [RANDOM],
    upstreams: [{ prefix: '/api', target: api.origin, scopes: ['orders.read'] }],
  } as GatewayInput
}

t.test('a sound installation is green, at rest and while it runs (Q-09)', { skip: noRedis }, async (t) => {
  const file = configFile(t, await installation(t))
  const program = ['--import=ts-blank-space/register', 'gateway/main.ts']
  const doctor = new Command(t, ['doctor', '--config', file, '--json'], { program })
  t.equal(await doctor.exited, 0, doctor.stderr.join('\n'))
  t.same(doctor.stderr, [])
  const { status, findings } = JSON.parse(doctor.stdout.join('\n')) as { status: string; findings: Finding[] }
  t.match(status, /^(?:ok|warning)$/)
  const parts = new Set(findings.map(({ part }) => part))
  t.same(
    [...parts],
    ['configuration', 'secrets', 'node', 'listener', 'proxies', 'store', 'provider', 'upstream /api'],
    'in this order',
  )
  // What depends on the machine: the age of its Node, its limits. The demo's secret is an example.
  const own = findings.filter(({ part, code }) => part !== 'node' && !/^listen_files|^secret_/.test(code))
  t.same(
    own.filter(({ status }) => status !== 'ok'),
    [],
  )
  t.notMatch(doctor.stdout.join('\n'), new RegExp(`${PASSWORD}|${RANDOM}`), 'no secret')

  const gateway = new Command(t, ['--config', file])
  await gateway.ready()
  const running = await run(['doctor', '--config', file])
  t.equal(running.status, 0)
  t.equal(running.stdout.match(/is open: a gateway runs here, and is ready\./g)?.length, 2)
  t.match(running.stdout, /^ok {7}store: Redis [\d.]+ takes writes/m)
  t.match(running.stdout, /\n\n0 errors, \d+ warnings?, \d+ ok\n$/)
  t.notMatch(running.stdout, new RegExp(`${PASSWORD}|${RANDOM}|\u001b`), 'no secret, no colour')
})

t.test('an error is red, and exits with 1 (Q-09)', async (t) => {
  const file = configFile(t, {
    ...minimal(),
    ...{ listen: { port: 0 }, admin: { port: 0 } },
    provider: { issuer: 'http://127.0.0.1:1', clientId: 'gateway', clientSecret: secret },
  } as GatewayInput)
  const { status, stdout } = await run(['doctor', '--config', file], true)
  t.equal(status, 1)
  t.match(
    stdout,
    '\u001b[31merror  \u001b[0m  provider: It cannot be reached: ECONNREFUSED.\n         Let this machine',
  )
  t.match(stdout, '\u001b[32mok     \u001b[0m  configuration: It is valid.\n')
  t.match(stdout, /\n1 error, /)
  const json = await run(['doctor', '--config', file, '--json'], true)
  t.equal(json.status, 1)
  t.match(JSON.parse(json.stdout), { status: 'error' })
})

t.test('an invalid configuration is told as always, and exits with 78 (Q-09)', async (t) => {
  const file = configFile(t, { ...minimal(), publicUrl: 'api.example.com' } as GatewayInput)
  const { status, stdout, stderr } = await run(['doctor', '--config', file, '--json'])
  t.equal(status, 78)
  t.equal(stdout, '')
  t.match(stderr, /^pkce-gateway: invalid configuration\n.*publicUrl/)
})

t.test('its help is one screen (Q-09)', async (t) => {
  const { status, stdout } = await run(['doctor', '--help'])
  t.equal(status, 0)
  t.match(stdout, 'pkce-gateway doctor --config FILE [--json]')
  t.ok(stdout.split('\n').length <= 24)
})

t.test('each finding has a test that provokes it (Q-09)', async (t) => {
  const folder = 'test/gateway/operations/doctor'
  const tests = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
  const untested = Object.keys(CATALOGUE).filter((code) => !tests.some((text) => text.includes(`'${code}'`)))
  t.same(untested, [])
})
