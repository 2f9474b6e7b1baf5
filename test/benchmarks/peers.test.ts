/** The servers that the gateway is compared with: each does what its line in the table says. */
import { once } from 'node:events'
import { Agent, createServer, request, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createRelay } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { freePort, Started } from '../../benchmarks/measure/process.ts'
import { apachePeers } from '../../benchmarks/peers/native/apache.ts'
import { caddy } from '../../benchmarks/peers/native/caddy.ts'
import { haproxyPeers } from '../../benchmarks/peers/native/haproxy.ts'
import { nginxPeers } from '../../benchmarks/peers/native/nginx.ts'
import { ANY_TOKEN, type Peer, type Place } from '../../benchmarks/peers/peer.ts'
import { makeKeys } from '../../benchmarks/servers/keys.ts'

const REQUESTS = 20
const provider = await freePort()
const keys = await makeKeys(`http://127.0.0.1:${provider}`)

/** What the requests of a peer go to, and how many connections each of them has seen. */
interface Surroundings {
  readonly place: Place
  readonly connections: { upstream: number; verify: number; provider: number }
}

t.before(async () => {
  const program = fileURLToPath(new URL('../../benchmarks/servers/provider.ts', import.meta.url))
  const args = [
    '--import=ts-blank-space/register',
    program,
    JSON.stringify({ port: provider, jwks: keys.jwks }),
  ]
  const started = new Started({ file: process.execPath, args }, null, `${t.testdir()}/provider`)
  t.teardown(() => started.stop())
  await started.listening(provider)
})

for (const peer of [...nginxPeers, ...apachePeers, ...haproxyPeers, caddy]) {
  const skip = peer.missing?.() ?? false
  const what = peer.authenticates ? 'refuses what is not good' : 'lets everybody through'
  t.test(`${peer.name} keeps its connections, and ${what}`, { skip }, async (t) => {
    const { place, connections } = await surround(t)
    // Programs of ours are compiled, and this is not: what verifies for nginx is played here.
    const started = new Started(peer.commands(place).at(-1)!, null, `${place.folder}/output`)
    t.teardown(() => started.stop())
    await started.listening(place.port)
    const authorization = await peer.authorization(place)

    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    for (let i = 0; i < REQUESTS; i += 1) {
      const status = await statusOf(place.port, authorization, agent)
      if (status !== 200) t.equal(status, 200, started.output())
    }
    t.notMatch(started.output(), 'WARNING', 'its configuration is taken as it is')
    t.equal(connections.upstream, 1)
    t.equal(connections.verify, peer.name === 'nginx-auth-request' ? 1 : 0)
    t.equal(connections.provider, peer.name === 'apache-oidc-introspection' ? 1 : 0, 'asked once, and cached')

    for (const [reason, bad] of Object.entries(badTokens(peer, place))) {
      const status = await statusOf(place.port, bad, agent)
      t.equal(status, peer.authenticates ? 401 : 200, reason)
    }
  })
}

async function surround(t: Test): Promise<Surroundings> {
  const connections = { upstream: 0, verify: 0, provider: 0 }
  const upstream = createServer((_, response) => response.end('{}'))
  const verify = createServer(({ headers }, response) =>
    response.writeHead(headers.authorization === `Bearer ${ANY_TOKEN}` ? 204 : 401).end(),
  )
  const relay = createRelay((socket) => {
    const on = connect(provider, '127.0.0.1')
    socket.pipe(on).pipe(socket)
    for (const one of [socket, on]) one.on('error', () => one.destroy())
  })
  const listen = async (server: Server | ReturnType<typeof createRelay>, name: keyof typeof connections) => {
    server.on('connection', () => {
      connections[name] += 1
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    t.teardown(() => server.close())
    return (server.address() as AddressInfo).port
  }
  const place = {
    port: await freePort(),
    helperPort: await listen(verify, 'verify'),
    upstream: await listen(upstream, 'upstream'),
    provider: await listen(relay, 'provider'),
    redis: 0,
    folder: t.testdir(),
    node: process.execPath,
    nodeFlags: [],
    keys,
  }
  return { place, connections }
}

function badTokens(peer: Peer, place: Place): Record<string, string | undefined> {
  const bearers = Object.entries(peer.refuses?.(place) ?? {}).map(([what, token]) => [
    what,
    `Bearer ${token}`,
  ])
  return { 'no token': undefined, 'another token': `Bearer ${ANY_TOKEN}x`, ...Object.fromEntries(bearers) }
}

async function statusOf(port: number, authorization: string | undefined, agent: Agent): Promise<number> {
  const headers = authorization === undefined ? {} : { authorization }
  const sent = request({ host: '127.0.0.1', port, path: '/api/small', agent, headers }).end()
  const [response] = await once(sent, 'response')
  await once(response.resume(), 'end')
  return response.statusCode
}
