/** What doctor finds of upstreams: each target is asked as the forwarder would. Each finding is provoked. */
import { once } from 'node:events'
import { createServer as createPlain, type IncomingMessage } from 'node:http'
import { createServer as createSecure } from 'node:https'
import { createServer as createSocket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { diagnoseUpstreams } from '../../../../gateway/operations/doctor/upstreams.ts'
import { selfSigned } from '../../../support/certificate.ts'
import { codes, subjectOf, told } from '../../../support/doctor.ts'
import { upstream } from '../../../support/gateway-config.ts'
import { listen } from '../../../support/provider-server.ts'

const inDays = (days: number) => new Date(Date.now() + days * 86_400_000)

t.test('an upstream answers whatever it likes; it is asked by HEAD without credentials (Q-09)', async (t) => {
  const seen: IncomingMessage[] = []
  const { origin } = await listen(
    t,
    createPlain((request, response) => {
      seen.push(request)
      response.writeHead(404).end()
    }),
  )
  const findings = await diagnoseUpstreams(
    subjectOf(t, {
      upstreams: [
        { ...upstream, target: `${origin}/base` },
        { prefix: '/other', target: [origin], host: 'api.example.com' },
      ],
    }),
  )
  t.same(codes(findings), ['upstream_answers', 'upstream_answers'])
  told(t, findings.slice(1), 'upstream_answers', { found: new RegExp(`^${origin} answers \\(404\\)\\.$`) })
  const asked = new Map(seen.map(({ method, url, headers }) => [`${method} ${url}`, headers.host]))
  t.same(Object.fromEntries(asked), { 'HEAD /': 'api.example.com', 'HEAD /base': origin.slice(7) })
  t.same(
    new Set(seen.flatMap(({ headers }) => Object.keys(headers))),
    new Set(['connection', 'host', 'user-agent']),
  )
})

t.test('none at all is told, and is no failure (Q-09)', async (t) => {
  told(t, await diagnoseUpstreams(subjectOf(t)), 'upstream_none', { found: /^There are none/ })
})

t.test('a dead upstream is told by its remedy, each target by itself (Q-09)', async (t) => {
  const { origin } = await listen(
    t,
    createPlain((_, response) => response.end()),
  )
  const targets = [origin, 'http://127.0.0.1:1', 'http://no-such-host.invalid']
  const findings = await diagnoseUpstreams(subjectOf(t, { upstreams: [{ ...upstream, target: targets }] }))
  t.same(
    findings.map(({ part, code }) => [part, code]),
    [
      ['upstream /api', 'upstream_answers'],
      ['upstream /api', 'upstream_failed'],
      ['upstream /api', 'upstream_failed'],
    ],
  )
  told(t, findings.slice(0, 2), 'upstream_failed', {
    found: /^http:\/\/127\.0\.0\.1:1: nothing listens there\.$/,
    advice: /^Start it, or correct upstreams\[\]\.target\.$/,
  })
  told(t, findings.slice(2), 'upstream_failed', { found: /no-such-host\.invalid: /, advice: /DNS|\./ })

  const socket = subjectOf(t, { upstreams: [{ ...upstream, target: 'unix:/nowhere/api.sock' }] })
  told(t, await diagnoseUpstreams(socket), 'upstream_failed', {
    found: /^unix:\/nowhere\/api\.sock: there is no such socket\.$/,
    advice: /upstreams\[\]\.target/,
  })
})

t.test('one that never answers is given up after some seconds (Q-09)', async (t) => {
  const silent = createSocket(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close())
  const address = silent.address()
  const port = typeof address === 'object' ? address?.port : 0
  const startedAt = performance.now()
  const findings = await diagnoseUpstreams(
    subjectOf(t, { upstreams: [{ ...upstream, target: `http://127.0.0.1:${port}` }] }),
  )
  told(t, findings, 'upstream_failed', { found: /: it has not answered/, advice: /look at its log/i })
  t.ok(performance.now() - startedAt < 8000)
})

t.test('TLS of an upstream: its authority, its name, its end (Q-09, Q-07)', async (t) => {
  const at = async (certificate: ReturnType<typeof selfSigned>, host = '127.0.0.1', trusted = true) => {
    const { port } = await listen(
      t,
      createSecure(certificate, (_, response) => response.end()),
    )
    const folder = t.testdir({ 'ca.pem': certificate.cert })
    const target = `https://${host}:${port}`
    return diagnoseUpstreams(
      subjectOf(t, {
        upstreams: [{ ...upstream, target, ...(trusted && { caFile: join(folder, 'ca.pem') }) }],
      }),
    )
  }
  t.same(codes(await at(selfSigned('localhost', inDays(90)))), ['upstream_answers'])
  const ending = await at(selfSigned('localhost', inDays(5)))
  t.same(codes(ending), ['upstream_answers', 'upstream_certificate_ends'])
  told(t, ending, 'upstream_certificate_ends', { found: /ends on \d{4}-/, advice: /upstreams\[\]\.target/ })
  told(t, await at(selfSigned('localhost'), undefined, false), 'upstream_failed', {
    found: /its certificate is signed by nobody who is trusted here\.$/,
    advice: /upstreams\[\]\.caFile/,
  })
  told(t, await at(selfSigned('localhost', inDays(-1))), 'upstream_failed', {
    found: /its certificate has expired\.$/,
    advice: /^Renew it\.$/,
  })
  told(t, await at(selfSigned('api.example.com'), 'localhost'), 'upstream_failed', {
    found: /its certificate is for another name\.$/,
    advice: /upstreams\[\]\.target/,
  })

  const { port } = await listen(
    t,
    createPlain((_, response) => response.end()),
  )
  const plain = subjectOf(t, { upstreams: [{ ...upstream, target: `https://127.0.0.1:${port}` }] })
  told(t, await diagnoseUpstreams(plain), 'upstream_failed', { found: /speak TLS/, advice: /http:\/\// })
})
