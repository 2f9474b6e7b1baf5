/** What a start costs: the packages that a small configuration does not use, and ten thousand clients. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../../../gateway/config/load.ts'
import { resolveOptions } from '../../../plugin/options/resolve.ts'
import { compiledGateway } from '../../support/compiled-gateway.ts'
import { file, minimal, upstream } from '../../support/gateway-config.ts'

/** Told of by their folders: files that a start must not load. */
const UNUSED = [
  ...['yaml', 'prom-client', '@opentelemetry/api', 'ioredis', '@fastify/redis', 'pg'],
  ...['ajv', '@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler', 'light-my-request'],
  ...['undici/index.js', 'undici/lib/web', 'undici/lib/mock', 'undici/lib/cache', 'undici/lib/api'],
]
const issuer = 'http://127.0.0.1:4000'
const small = {
  ...minimal(),
  provider: {
    ...minimal().provider,
    // Nobody is asked for them.
    ...{ authorizationEndpoint: `${issuer}/authorize`, tokenEndpoint: `${issuer}/token` },
    ...{ userinfoEndpoint: `${issuer}/userinfo`, jwksUri: `${issuer}/jwks` },
  },
  ...{ upstreams: [upstream], listen: { port: 0 }, admin: { port: 0 } },
}

t.test('a start loads no package that its configuration does not use (Q-14)', async (t) => {
  const path = file(t, JSON.stringify(small), 'gateway.json')
  const list = join(path, '../loaded.json')
  const atExit = `
    import { createRequire } from 'node:module'
    import { writeFileSync } from 'node:fs'
    const { cache } = createRequire(process.execPath)
    process.on('exit', () => writeFileSync(${JSON.stringify(list)}, JSON.stringify(Object.keys(cache))))`
  const preload = `--import=data:text/javascript,${encodeURIComponent(atExit)}`
  const child = spawn(process.execPath, [preload, await compiledGateway(), '--config', path], {
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
    if (output.includes('gateway ready')) child.kill('SIGTERM')
  })
  await new Promise((resolve) => child.once('close', resolve))
  t.match(output, 'gateway ready')
  const loaded = (JSON.parse(readFileSync(list, 'utf8')) as string[]).map((name) =>
    name.slice(name.lastIndexOf('/node_modules/') + '/node_modules/'.length),
  )
  t.ok(loaded.includes('undici/lib/dispatcher/client.js'), 'the list is of what is loaded')
  t.same(
    UNUSED.filter((unused) => loaded.some((name) => name === unused || name.startsWith(`${unused}/`))),
    [],
  )
})

t.test('the CPU time of ten thousand clients is linear in their number (Q-14)', async (t) => {
  const configurationOf = (count: number) => {
    const clients = Array.from({ length: count }, (_, index) => ({
      clientId: `com.example.app${index}`,
      redirectUris: [`com.example.app${index}:/callback`, `https://app${index}.example.com/callback`],
      scopes: ['orders.read', 'orders.write'],
    }))
    return JSON.stringify({ ...small, clients })
  }
  const secondsOf = (path: string) => {
    const before = process.cpuUsage()
    const { config } = loadConfig({ file: path })
    resolveOptions({ ...config.plugin, secrets: [] } as never)
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1e6
  }
  const folder = t.testdir({ 'few.json': configurationOf(2000), 'many.json': configurationOf(10_000) })
  const [few, many] = [join(folder, 'few.json'), join(folder, 'many.json')]
  secondsOf(many)
  // The least of five: what else the machine does can only add to it.
  const least = (path: string) => Math.min(...[1, 2, 3, 4, 5].map(() => secondsOf(path)))
  const [ofFew, ofMany] = [least(few), least(many)]
  // Five times the clients, and a heap that grows; with a quadratic part it would go to twenty-five.
  t.ok(ofMany < 12 * ofFew, `${ofMany} s is no more than 12 times ${ofFew} s`)
})
