import { once } from 'node:events'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { Routes } from '../../../gateway/forward/routes.ts'
import { TrustedProxies } from '../../../gateway/forward/trusted-proxies.ts'
import { UpstreamRoute } from '../../../gateway/forward/upstream/route.ts'
import { bodyOptions, forwarder, head, noStreams, PUBLIC_URL, upstream } from '../../support/forwarder.ts'
import { until } from '../../support/wait.ts'
import { answerOk, exchange, field, RawUpstream, type Responder, WireClient } from '../../support/wire.ts'

const TARGET = 'http://127.0.0.1:5000'

function routesOf(...prefixes: string[]) {
  const upstreams = prefixes.map(
    (prefix) => new UpstreamRoute(upstream({ prefix, target: TARGET }), PUBLIC_URL, noStreams, bodyOptions),
  )
  t.teardown(() => Promise.all(upstreams.map((route) => route.targets.close())))
  return { routes: new Routes(upstreams), upstreams }
}

t.test('the longest prefix wins, and a prefix ends with its segment (H-01, H-09)', async (t) => {
  const { routes, upstreams } = routesOf('/api', '/api/v2/orders', '/a')
  const [api, orders, a] = upstreams
  const expected = {
    '/api': api,
    '/api/': api,
    '/api?page=2': api,
    '/api/v2': api,
    '/api/v2/orders': orders,
    '/api/v2/orders?x': orders,
    '/api/v2/orders/1': orders,
    '/api/v2/orders1': api,
    '/a/pi': a,
    '/a?/api/x': a,
    '/apis': undefined,
    '/API': undefined,
    '/': undefined,
    '/x?/api/': undefined,
  }
  for (const [target, route] of Object.entries(expected)) t.equal(routes.find(target), route, target)
})

t.test('the prefix that is found is the longest, whatever the prefixes and the path (H-01)', async () => {
  const segment = fc.constantFrom('a', 'b', 'aa', 'a.b', 'A')
  const path = fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join('/')}`)
  const close: UpstreamRoute[] = []
  fc.assert(
    fc.property(
      fc.uniqueArray(path, { maxLength: 6 }),
      path,
      fc.constantFrom('', '/', '?a/b', '/?a'),
      (prefixes, of, end) => {
        const target = of === '/' && end.startsWith('/') ? end : of + end
        const upstreams = prefixes.map(
          (prefix) =>
            new UpstreamRoute(upstream({ prefix, target: TARGET }), PUBLIC_URL, noStreams, bodyOptions),
        )
        close.push(...upstreams)
        const [expected] = upstreams
          .filter(
            ({ prefix }) => target === prefix || ['/', '?'].some((next) => target.startsWith(prefix + next)),
          )
          .sort((a, b) => b.prefix.length - a.prefix.length)
        return new Routes(upstreams).find(target) === expected
      },
    ),
  )
  await Promise.all(close.map((route) => route.targets.close()))
})

t.test('a thousand prefixes cost a request what one costs (H-01)', async (t) => {
  const { routes: many } = routesOf(...Array.from({ length: 1000 }, (_, index) => `/team/${index}/api`))
  const { routes: one } = routesOf('/team/0/api')
  const time = (routes: Routes) => {
    const from = process.hrtime.bigint()
    for (let i = 0; i < 20_000; i++) routes.find('/team/0/api/orders?page=2')
    return Number(process.hrtime.bigint() - from)
  }
  time(many)
  time(one)
  const ratios = Array.from({ length: 9 }, () => time(many) / time(one)).sort((a, b) => a - b)
  // A search through all of them took 300 times as long.
  t.ok(ratios[4]! < 10, `${ratios[4]}`)
})

t.test('an endpoint wins against every prefix, with the query left aside', async (t) => {
  const { routes, upstreams } = routesOf('/', '/oauth2')
  routes.addEndpoint('/oauth2/token')
  routes.addEndpoint('/.well-known/oauth-authorization-server')
  const [root, oauth2] = upstreams
  t.equal(routes.find('/oauth2/token'), 'endpoint')
  t.equal(routes.find('/oauth2/token?x=/oauth2/other'), 'endpoint')
  t.equal(routes.find('/.well-known/oauth-authorization-server'), 'endpoint')
  t.equal(routes.find('/oauth2/token/'), oauth2)
  t.equal(routes.find('/oauth2/other?/oauth2/token'), oauth2)
  t.equal(routes.find('/anything'), root)
})

t.test('a parameter may be the last segment of an endpoint, where no upstream could be meant', async (t) => {
  const { routes, upstreams } = routesOf('/', '/api', '/endpoints/own')
  routes.addEndpoint('/oauth2/sessions/:id')
  const [root] = upstreams
  for (const found of ['/oauth2/sessions/7', '/oauth2/sessions/7?x', '/oauth2/sessions/']) {
    t.equal(routes.find(found), 'endpoint', found)
    t.equal(routes.endpointOf(found), '/oauth2/sessions/:id', 'by its pattern: an id is no name of a metric')
  }
  for (const other of ['/oauth2/sessions', '/oauth2/sessions/7/8', '/oauth2/7', '/7']) {
    t.equal(routes.find(other), root, other)
    t.equal(routes.endpointOf(other), undefined)
  }
  for (const refused of ['/endpoints/:id', '/:id', '/files/*', '/a/:id/b', '/a/b-:id']) {
    t.throws(() => routes.addEndpoint(refused), { message: /has parameters/ }, refused)
  }
})

t.test('behind an upstream at the root, an endpoint is reached by none of its methods', async (t) => {
  const api = new RawUpstream()
  const { app, port } = await forwarder({
    upstreams: [upstream({ prefix: '/', target: await api.listen() })],
  })
  t.teardown(() => Promise.all([app.close(), api.close()]))
  t.equal((await exchange(port, head('GET /oauth2/endpoint'))).body.toString(), '{"endpoint":true}')
  for (const method of ['PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS']) {
    t.equal(
      (await exchange(port, head(`${method} /oauth2/endpoint`, 'Content-Length: 0'))).status,
      404,
      method,
    )
  }
  t.equal(api.requests.length, 0)
  t.equal((await exchange(port, head('GET /oauth2/endpoints'))).status, 200)
  t.equal(api.requests[0]?.requestLine, 'GET /oauth2/endpoints HTTP/1.1')
})

t.test("the client's address is what trusted proxies say of it, and nobody else (J-08)", async (t) => {
  const from = (remoteAddress: string) => ({ remoteAddress }) as Socket
  const proxies = new TrustedProxies(['10.0.0.0/8', 'fd00::/8'])
  t.equal(proxies.clientAddress(from('203.0.113.9'), '198.51.100.1'), '203.0.113.9')
  t.equal(proxies.clientAddress(from('10.0.0.1'), undefined), '10.0.0.1')
  t.equal(proxies.clientAddress(from('10.0.0.1'), '198.51.100.1'), '198.51.100.1')
  t.equal(proxies.clientAddress(from('10.0.0.1'), '1.2.3.4, 198.51.100.1 , 10.9.9.9'), '198.51.100.1')
  t.equal(proxies.clientAddress(from('::ffff:10.0.0.1'), '2001:db8::1'), '2001:db8::1')
  t.equal(proxies.clientAddress(from('fd00::1'), '10.1.1.1,10.2.2.2'), '10.1.1.1')
  t.equal(proxies.clientAddress(from('10.0.0.1'), 'unknown'), 'unknown')
  t.equal(new TrustedProxies([]).clientAddress(from('10.0.0.1'), '198.51.100.1'), '10.0.0.1')
})

t.test('while it closes, a request of a connection in use is answered, as its last (K-07)', async (t) => {
  const api = new RawUpstream()
  const { app, port } = await forwarder({ upstreams: [upstream({ target: await api.listen() })] })
  t.teardown(() => api.close())
  const held: Parameters<Responder>[] = []
  api.respond = (...request) => held.push(request)
  const client = new WireClient(port)
  t.teardown(() => client.socket.destroy())
  client.send(head('GET /api/first'))
  await once(api.events, 'head')
  const closed = app.close()
  await new Promise((resolve) => setTimeout(resolve, 100))
  client.send(head('GET /api/second'))
  answerOk(...held[0]!)
  t.equal((await client.answer()).status, 200)
  await until(() => held.length === 2)
  answerOk(...held[1]!)
  const second = await client.answer()
  t.equal(second.status, 200)
  t.equal(field(second, 'connection'), 'close')
  await closed
})
