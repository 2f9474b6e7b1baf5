/** What an upstream learns of its public name, and what it may say of it. */

import t, { type Test } from 'tap'
import type { Upstream } from '../../../../gateway/config/schemas/gateway.ts'
import { publicLocation } from '../../../../gateway/forward/headers/location.ts'
import { UpstreamRoute } from '../../../../gateway/forward/upstream/route.ts'
import {
  bodyOptions,
  forwarder,
  HOST,
  head,
  noStreams,
  PUBLIC_URL,
  upstream,
} from '../../../support/forwarder.ts'
import { exchange, field, RawUpstream, valuesOf } from '../../../support/wire.ts'

async function setUp(t: Test, base: string, own: Partial<Upstream>) {
  const api = new RawUpstream()
  const origin = await api.listen()
  const { app, port } = await forwarder({ upstreams: [upstream({ ...own, target: origin + base })] })
  t.teardown(() => Promise.all([app.close(), api.close()]))
  const ask = (path: string, ...lines: string[]) => exchange(port, head(`GET ${path}`, ...lines))
  const seen = (name: string) => valuesOf(api.requests.at(-1)!, name)
  return { api, ask, seen, authority: new URL(origin).host }
}

t.test('X-Forwarded-Prefix is what an upstream lacks of its public paths (H-13)', async (t) => {
  const cases: [prefix: string, base: string, expected: string[]][] = [
    ['/api', '', ['/api']],
    ['/api/v1', '', ['/api/v1']],
    ['/api', '/v1', ['/api']],
    ['/', '', []],
    ['/', '/v1', []],
    // Nothing was taken away, or only the beginning.
    ['/api', '/api', []],
    ['/shop/orders', '/orders', ['/shop']],
  ]
  for (const [prefix, base, expected] of cases) {
    await t.test(`${prefix} -> ${base}/`, async (t) => {
      const { ask, seen } = await setUp(t, base, { prefix })
      await ask(`${prefix === '/' ? '' : prefix}/a`, 'X-Forwarded-Prefix: /evil', 'X_Forwarded_Prefix: /evil')
      t.same(seen('x-forwarded-prefix'), expected)
      t.same(seen('x_forwarded_prefix'), [])
    })
  }
})

t.test('Host is the own one, ours, or a fixed one (H-13)', async (t) => {
  for (const [host, expected] of [
    ['upstream', undefined],
    ['public', HOST],
    ['orders.internal:8080', 'orders.internal:8080'],
  ] as const) {
    await t.test(host, async (t) => {
      const { ask, seen, authority } = await setUp(t, '', { host })
      t.equal((await ask('/api/a', 'X-Forwarded-Host: evil.example')).status, 200)
      t.same(seen('host'), [expected ?? authority])
      t.same(seen('x-forwarded-host'), [HOST])
    })
  }
})

t.test('a Location made of the X-Forwarded fields leads back here (H-13, H-24)', async (t) => {
  const { api, ask } = await setUp(t, '', { host: 'public' })
  api.respond = (socket, request) => {
    const [proto, host, prefix] = ['proto', 'host', 'prefix'].map((name) =>
      valuesOf(request, `x-forwarded-${name}`),
    )
    const location = request.requestLine.includes('relative')
      ? `${prefix}/orders/7`
      : `${proto}://${host}${prefix}/orders/7`
    socket.write(`HTTP/1.1 201 Created\r\nlocation: ${location}\r\ncontent-length: 0\r\n\r\n`)
  }
  t.equal(field(await ask('/api/orders'), 'location'), `${PUBLIC_URL}/api/orders/7`)
  t.equal(field(await ask('/api/relative'), 'location'), `${PUBLIC_URL}/api/orders/7`)
})

function locations(
  t: Test,
  own: Partial<Upstream> & Pick<Upstream, 'target'>,
  publicUrl = PUBLIC_URL,
  allowedHosts: string[] = [],
) {
  const route = new UpstreamRoute(upstream(own), publicUrl, noStreams, { ...bodyOptions, allowedHosts })
  t.teardown(() => route.targets.close())
  return (location: string, path = `${route.base}/orders/1`) => publicLocation(location, path, route)
}

t.test('our own address in a Location stays, whatever kind of address it is (H-24)', async (t) => {
  for (const publicUrl of [
    'http://127.0.0.1:3000',
    'http://[::1]:3000',
    'https://192.168.1.10',
    'https://10.0.0.7:8443',
    'https://gateway',
    'https://gateway.internal',
    'https://gateway.local',
  ]) {
    await t.test(publicUrl, async (t) => {
      const at = locations(t, { target: 'http://127.0.0.1:5000' }, publicUrl, ['gateway.lan:8443', 'box'])
      t.equal(at(`${publicUrl}/api/orders/7?a=b#c`), `${publicUrl}/api/orders/7?a=b#c`)
      t.equal(at(`${publicUrl}/login`), `${publicUrl}/login`)
      t.equal(at('/orders/7'), `${publicUrl}/api/orders/7`)
      const { protocol } = new URL(publicUrl)
      t.equal(at(`${protocol}//box/api/orders/7`), `${protocol}//box/api/orders/7`, 'an allowed host too')
      t.equal(at(`${protocol}//other/api`), null)
      t.equal(at('http://127.0.0.1:5001/orders'), null)
      t.equal(at('http://127.0.0.1:5000/orders'), `${publicUrl}/api/orders`)
    })
  }
})

t.test(
  'a prefix that the upstream has put before its path is not put there again (H-13, H-24)',
  async (t) => {
    const plain = locations(t, { target: 'http://orders:5000' })
    t.equal(plain('/api/orders/7'), `${PUBLIC_URL}/api/orders/7`)
    t.equal(plain('/api'), `${PUBLIC_URL}/api`)
    t.equal(plain('/apis/7'), `${PUBLIC_URL}/api/apis/7`)
    t.equal(plain('http://orders:5000/api/orders/7'), `${PUBLIC_URL}/api/orders/7`)
    t.equal(plain('/api/next', '/api/first?page=1'), `${PUBLIC_URL}/api/api/next`, 'its own paths begin so')

    const based = locations(t, { target: 'http://orders:5000/v1' })
    t.equal(based('/v1/orders/7'), `${PUBLIC_URL}/api/orders/7`)
    t.equal(based('/api/v1/orders/7'), `${PUBLIC_URL}/api/orders/7`)
    t.equal(based(`${PUBLIC_URL}/api/v1/orders/7`), `${PUBLIC_URL}/api/orders/7`)
    t.equal(based(`${PUBLIC_URL}/api/orders/7`), `${PUBLIC_URL}/api/orders/7`)
    t.equal(based('/api/orders/7'), null)

    const same = locations(t, { target: 'http://orders:5000/api' })
    t.equal(same('/api/orders/7'), `${PUBLIC_URL}/api/orders/7`)
    t.equal(same(`${PUBLIC_URL}/api/orders/7`), `${PUBLIC_URL}/api/orders/7`)
    t.equal(same('/orders/7'), null)

    const root = locations(t, { prefix: '/', target: 'http://orders:5000' })
    t.equal(root('/orders/7'), `${PUBLIC_URL}/orders/7`)
  },
)
