/** The benchmarks of the server itself: TLS, HTTP/2, handshakes, held connections, starts, many prefixes. */
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createSecureServer, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, createServer as createListener, type Server } from 'node:net'
import { join } from 'node:path'
import { connect, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { manyClients, manyUpstreams } from '../../benchmarks/cases/server/many.ts'
import { runIdle } from '../../benchmarks/load/ours/idle.ts'
import { runOurs } from '../../benchmarks/load/ours/load.ts'
import type { LoadPlan } from '../../benchmarks/load/plan.ts'
import { tlsOptions } from '../../benchmarks/load/secure.ts'
import { verdictText } from '../../benchmarks/report/format.ts'
import type { Report } from '../../benchmarks/report/report.ts'
import type { Row, Summary } from '../../benchmarks/report/summary.ts'
import { judge } from '../../benchmarks/report/targets.ts'
import { CLIENT_ID } from '../../benchmarks/servers/app.ts'
import { selfSigned } from '../support/certificate.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const command = join(root, 'build/benchmarks/run.js')
if (!existsSync(command)) execFileSync('npm', ['run', 'build'], { cwd: root })

const certificate = selfSigned('localhost')
const request = { method: 'GET', path: '/', headers: {} } as const

/** One round of the cases, the gateway with its variants alone. @returns what was measured. */
async function measured(t: Test, cases: readonly string[], ...more: readonly string[]): Promise<Report> {
  const out = t.testdir()
  const chosen = cases.flatMap((name) => ['--case', name])
  const args = ['--rounds', '1', '--seconds', '0.2', '--out', out, ...more]
  await promisify(execFile)(process.execPath, [command, '--profile', 'full', ...chosen, ...args]).catch(
    // What failed is told by the report.
    (error: { code: number; stderr: string }) => t.equal(error.code, 1, error.stderr),
  )
  return JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Report
}

function planFor(port: number, more: Partial<LoadPlan> = {}): LoadPlan {
  return {
    generator: 'ours',
    port,
    connections: 2,
    mode: 'repeat',
    warmUpSeconds: 0,
    seconds: 0.05,
    requests: [request],
    uploadBytes: 0,
    status: 200,
    answer: 'hello',
    processes: [process.pid],
    core: null,
    ...more,
  }
}

async function listening(t: Test, server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** The errors of a load over HTTP/2, where `answer` answers. */
async function errorsOver2(t: Test, answer: (stream: ServerHttp2Stream) => void): Promise<readonly string[]> {
  const server = createSecureServer(certificate)
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {})
    answer(stream)
  })
  const secure = { protocol: 'h2', certificate: certificate.cert } as const
  const result = await runOurs(planFor(await listening(t, server), { secure, seconds: 0.2 }))
  t.equal(result.errors > 0, result.errorTexts.length > 0)
  return result.errorTexts
}

t.test('over TLS and HTTP/2, and with a handshake for each request, nothing fails (H-34)', async (t) => {
  const cases = ['http2-get', 'handshakes-resumed']
  const { raw, summaries } = await measured(t, cases, '--peer', 'gateway')
  for (const name of cases) {
    t.same(raw[name]?.failures, {})
    const slices = raw[name]?.slices ?? []
    t.equal(slices.length, 3)
    t.ok(slices.every(({ errors, requests }) => errors === 0 && requests > 0))
    const row = summaries.find((summary) => summary.name === name)?.rows.find((one) => one.name === 'gateway')
    t.ok(row?.ratio && row.ratio.median > 0)
  }
})

t.test(
  'the client offers one cipher suite and one group, and trusts the certificate of the run',
  async (t) => {
    const port = await listening(
      t,
      createTlsServer(certificate, (socket) => socket.end()),
    )
    const socketWith = async (trusted: string): Promise<TLSSocket> => {
      const secure = { protocol: 'http/1.1', certificate: trusted } as const
      const socket = connect({ port, host: '127.0.0.1', ...tlsOptions(secure) })
      t.teardown(() => socket.destroy())
      await once(socket, 'secureConnect')
      return socket
    }
    const socket = await socketWith(certificate.cert)
    t.equal(socket.getProtocol(), 'TLSv1.3')
    t.equal(socket.getCipher().name, 'TLS_AES_128_GCM_SHA256')
    t.match(socket.getEphemeralKeyInfo(), { name: 'X25519' })
    await t.rejects(socketWith(selfSigned('localhost').cert), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  },
)

t.test('a handshake that is not of the kind that is measured is an error', async (t) => {
  const answer = (socket: TLSSocket) =>
    socket
      .on('error', () => {})
      .on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'))
  const secure = { protocol: 'http/1.1', certificate: certificate.cert } as const
  const port = await listening(t, createTlsServer(certificate, answer))
  let connections = 0
  const counted = createTlsServer(certificate, answer).on('connection', () => {
    connections += 1
  })
  const full = await runOurs(
    planFor(await listening(t, counted), { secure, handshakes: 'full', seconds: 0.2 }),
  )
  t.same(full.errorTexts, [])
  t.ok(full.requests > 2 && connections >= full.requests, 'a connection for each request')
  t.same((await runOurs(planFor(port, { secure, handshakes: 'resumed', seconds: 0.2 }))).errorTexts, [])

  // Each connection has other keys for its tickets than the one before, so none can be resumed.
  const forgetful = createTlsServer(certificate, answer)
  forgetful.on('connection', () => forgetful.setTicketKeys(randomBytes(48)))
  const plan = planFor(await listening(t, forgetful), { secure, handshakes: 'resumed', seconds: 0.2 })
  t.match((await runOurs(plan)).errorTexts, ['the session was not resumed'])
})

t.test('over HTTP/2 an answer that is not the expected one is an error', async (t) => {
  const send = (status: number, body: string) => (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': status })
    stream.end(body)
  }
  t.same(await errorsOver2(t, send(200, 'hello')), [])
  t.match(await errorsOver2(t, send(401, 'hello')), ['it answers 401'])
  t.match(await errorsOver2(t, send(200, 'jello')), ['the body is not the expected one'])
  t.match(await errorsOver2(t, send(200, 'hello!')), ['the body is not the expected one'])
  t.match(await errorsOver2(t, send(200, 'hell')), ['the answer is not whole'])
  t.match(await errorsOver2(t, (stream) => stream.close(8)), [/./])
  t.match(await errorsOver2(t, ({ session }) => session?.destroy()), [/./])
})

t.test('a thousand event streams are held, and their memory is told', async (t) => {
  const { raw, summaries } = await measured(t, ['idle-events'], '--peer', 'gateway')
  t.same(raw['idle-events']?.failures, {})
  const slices = raw['idle-events']?.slices ?? []
  t.equal(slices.length, 3)
  t.ok(slices.every(({ errors, requests }) => errors === 0 && requests === 1000))
  t.ok(summaries[0]?.rows.every(({ bytesPerConnection }) => bytesPerConnection))
})

t.test('a connection that is closed while it is held is an error', async (t) => {
  const answering = (andThen: (end: () => void) => unknown) =>
    createListener((socket) => {
      socket.on('error', () => {})
      socket.on('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello')
        andThen(() => socket.destroy())
      })
    })
  const mode = 'idle-connections'
  const kept = await runIdle(
    planFor(
      await listening(
        t,
        answering(() => {}),
      ),
    ),
    mode,
  )
  t.same([kept.requests, kept.errorTexts], [2, []])
  const closing = planFor(
    await listening(
      t,
      answering((end) => setTimeout(end, 20)),
    ),
    { seconds: 0.3 },
  )
  t.match((await runIdle(closing, mode)).errorTexts, ['a connection was closed while it was held'])
})

t.test(
  'a start is measured until the gateway is ready, and a second one where the first has ended',
  async (t) => {
    const { raw, summaries } = await measured(t, ['start'], '--peer', 'gateway-warm')
    t.same(raw.start?.failures, {})
    const slices = raw.start?.slices ?? []
    t.same(
      slices.map(({ name }) => name),
      ['gateway', 'gateway-warm', 'gateway'],
    )
    t.ok(slices.every(({ cpuNanoseconds = 0, seconds }) => cpuNanoseconds > 0 && seconds > 0))
    t.ok(summaries[0]?.rows.every(({ idleMegabytes = 0 }) => idleMegabytes > 20))
  },
)

t.test('among many prefixes the one that is asked has neighbours on its path (H-01)', async (t) => {
  const upstreams = manyUpstreams(1000, { upstream: 1 })
  const prefixes = upstreams.map(({ prefix }) => prefix)
  t.equal(new Set(prefixes).size, 1000)
  t.ok(prefixes.indexOf('/api') > 400)
  t.equal(prefixes.filter((prefix) => prefix.startsWith('/api/')).length, 500)
  t.same(
    manyUpstreams(1, { upstream: 1 }).map(({ prefix }) => prefix),
    ['/api'],
  )
  const ids = manyClients(1000).map(({ clientId }) => clientId)
  t.equal(new Set(ids).size, 1000)
  t.equal(ids.at(-1), CLIENT_ID)
})

t.test('a start is judged by its CPU time, its memory at rest, and what many clients add', async (t) => {
  const row = (name: string, ratio: number | undefined, cpuSeconds: number, idleMegabytes: number): Row => {
    const rounds = (value: number) => ({ median: value, min: value, max: value, raw: [value] })
    const cpuMicroseconds = rounds(cpuSeconds * 1e6)
    return {
      name,
      title: name,
      authenticates: true,
      cpuMicroseconds,
      idleMegabytes,
      ...(ratio && { ratio: rounds(ratio) }),
    }
  }
  const rows = [
    row('gateway', undefined, 1, 120),
    row('http-proxy', 0.4, 0.4, 80),
    row('gateway-10000-clients', 2.5, 2.5, 200),
  ]
  const fixed = { title: 'a start', generator: 'ours', slices: 3, disturbed: 0, base: 'gateway' }
  const summary: Summary = { name: 'start', metric: 'start', rows, ...fixed }
  t.same(judge([summary]).map(verdictText), [
    'start: gateway / http-proxy 2.50, at most 2: missed',
    'start: gateway / http-proxy, MB when idle 1.50, at most 1.4: missed',
    'start: gateway-10000-clients over gateway, s of CPU 1.50, at most 1: missed',
  ])
})
