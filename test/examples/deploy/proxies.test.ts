/** The samples of deploy/proxies, run as they are but for addresses and certificates, in front of a gateway. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify from 'fastify'
import t, { type Test } from 'tap'
import { Agent, WebSocket } from 'undici'
import { buildGateway, gatewayConfig } from '../../../gateway/index.ts'
import { testSession } from '../../../plugin/api/testing.ts'
import { selfSigned } from '../../support/certificate.ts'
import { minimal } from '../../support/gateway-config.ts'
import { freePort } from '../../support/gateway-stack.ts'
import { startTied } from '../../support/tied-process.ts'
import { until } from '../../support/wait.ts'

const { cert, key } = selfSigned('api.example.com')

interface Ports {
  readonly proxy: number
  readonly gateway: number
  /** Of the second instance: nobody listens there. */
  readonly dead: number
}

const read = (file: string, { gateway, dead }: Ports) =>
  readFileSync(`deploy/proxies/${file}`, 'utf8')
    .replace('127.0.0.1:3000', `127.0.0.1:${gateway}`)
    .replace('127.0.0.1:3001', `127.0.0.1:${dead}`)

/** Each writes its files into the folder. @returns the command, and what it says when it is ready. */
const samples: Record<
  string,
  (folder: string, ports: Ports) => { command: string[]; ready: string | RegExp }
> = {
  nginx(folder, ports) {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((kind) => `${kind}_temp_path ${folder}/${kind};`)
      .join(' ')
    const sample = read('nginx.conf', ports)
      .replace('listen 443 ssl http2;', `listen 127.0.0.1:${ports.proxy} ssl http2;`)
      .replace('/etc/nginx/api.example.com.pem', `${folder}/cert.pem`)
      .replace('/etc/nginx/api.example.com.key', `${folder}/key.pem`)
      .replace('http {', `http { access_log off; ${temporary}`)
    writeFileSync(
      join(folder, 'nginx.conf'),
      `daemon off; pid ${folder}/pid; error_log stderr notice;\n${sample}`,
    )
    return {
      command: ['nginx', '-p', folder, '-c', join(folder, 'nginx.conf')],
      ready: 'start worker process ',
    }
  },
  caddy(folder, ports) {
    const sample = read('Caddyfile', ports).replace(
      'api.example.com {',
      `https://127.0.0.1:${ports.proxy} {\n\tbind 127.0.0.1\n\ttls ${folder}/cert.pem ${folder}/key.pem`,
    )
    const file = join(folder, 'Caddyfile')
    writeFileSync(
      file,
      `{\n\tadmin off\n\tgrace_period 1s\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n${sample}`,
    )
    const own = ['env', `HOME=${folder}`, `XDG_DATA_HOME=${folder}`, `XDG_CONFIG_HOME=${folder}`]
    return {
      command: [...own, 'caddy', 'run', '--config', file, '--adapter', 'caddyfile'],
      ready: 'serving initial configuration',
    }
  },
  haproxy(folder, ports) {
    writeFileSync(join(folder, 'both.pem'), cert + key)
    const sample = read('haproxy.cfg', ports)
      .replace('bind :443', `bind 127.0.0.1:${ports.proxy}`)
      .replace('/etc/haproxy/api.example.com.pem', `${folder}/both.pem`)
      // The admin listener, which the test does not have.
      .replaceAll(/ check port \d+/g, '')
    const file = join(folder, 'haproxy.cfg')
    writeFileSync(file, sample)
    return { command: ['haproxy', '-db', '-V', '-f', file], ready: 'Available polling systems' }
  },
}

/** A gateway behind the sample, an API behind the gateway, and somebody who is signed in. */
async function start(t: Test, name: string) {
  const ports = { proxy: await freePort(), gateway: await freePort(), dead: await freePort() }
  const api = fastify()
  const { default: websocket } = await import('@fastify/websocket')
  await api.register(websocket)
  api.get('/events', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: hello\n\n')
  })
  api.get('/live', { websocket: true }, (socket) => socket.send('hello'))
  api.get('/*', async ({ url, headers }) => ({ url, headers }))
  const target = await api.listen({ host: '127.0.0.1', port: 0 })
  const publicUrl = `https://127.0.0.1:${ports.proxy}`
  const app = await buildGateway(
    gatewayConfig({
      ...minimal(),
      publicUrl,
      trustProxy: ['127.0.0.1'],
      upstreams: [{ prefix: '/api', target, scopes: [], websocket: true }],
    }),
    { logStream: { write: () => {} } },
  )
  await app.listen({ host: '127.0.0.1', port: ports.gateway })
  const folder = mkdtempSync(join(tmpdir(), 'pkce-sample-'))
  writeFileSync(join(folder, 'cert.pem'), cert)
  writeFileSync(join(folder, 'key.pem'), key, { mode: 0o600 })
  const { command, ready } = samples[name]!(folder, ports)
  const proxy = await startTied(command as [string, ...string[]], ready, {})
  const dispatcher = new Agent({ connect: { ca: cert, rejectUnauthorized: true } })
  t.teardown(async () => {
    // Before the proxy: some wait for open streams.
    await dispatcher.destroy()
    await proxy.end('SIGTERM')
    await app.close()
    api.server.closeAllConnections()
    await api.close()
    rmSync(folder, { recursive: true, force: true })
  })
  // HAProxy says nothing when it listens.
  const answers = () =>
    dispatcher.request({ origin: publicUrl, path: '/', method: 'GET' }).then(
      ({ body }) => body.dump().then(() => true),
      () => false,
    )
  await until(answers)
  const { authorization } = await testSession(app)
  const call = (path: string, headers: Record<string, string> = { authorization }) =>
    dispatcher.request({ origin: publicUrl, path, method: 'GET', headers })
  return { call, authorization, publicUrl, dispatcher }
}

for (const name of Object.keys(samples)) {
  const isThere = spawnSync(name, [name === 'caddy' ? 'version' : '-v']).status === 0
  t.test(
    `${name} in front, as in deploy/proxies (Q-13)`,
    { skip: !isThere && `SKIPPED: no ${name}` },
    async (t) => {
      const { call, authorization, publicUrl, dispatcher } = await start(t, name)

      const refused = await call('/api/orders', {})
      await refused.body.dump()
      t.equal(refused.statusCode, 401)

      // One of the two instances is down all the time.
      for (let n = 0; n < 6; n++) {
        const { statusCode, body } = await call('/api/orders?n=1', {
          authorization,
          'x-forwarded-for': '203.0.113.7',
        })
        t.equal(statusCode, 200)
        const seen = (await body.json()) as { url: string; headers: Record<string, string> }
        t.match(seen, {
          url: '/orders?n=1',
          headers: { 'x-forwarded-host': publicUrl.slice(8), 'x-forwarded-proto': 'https' },
        })
        t.notMatch(
          seen.headers['x-forwarded-for'],
          '203.0.113.7',
          'what a client writes there is not believed',
        )
      }
      for (const path of ['/api/a%2Fb', '/api//a', '/api/%2e%2e/admin', '/api/;x']) {
        const { statusCode, body } = await call(path)
        await body.dump()
        t.equal(statusCode, 400, `${path} arrives as it was sent, and is refused`)
      }

      const stream = await call('/api/events')
      const [first] = await Promise.race([
        stream.body.take(1).toArray(),
        new Promise<never[]>((late) => setTimeout(late, 5000, [])),
      ])
      t.equal(String(first), 'data: hello\n\n', 'an event is passed on while the stream is open')
      stream.body.destroy()

      const socket = new WebSocket(`${publicUrl.replace('https', 'wss')}/api/live`, {
        headers: { authorization },
        dispatcher,
      })
      const said = await new Promise((resolve) => {
        socket.addEventListener('message', ({ data }) => resolve(data))
        socket.addEventListener('error', () => resolve('error'))
      })
      t.equal(said, 'hello')
      socket.close()
    },
  )
}
