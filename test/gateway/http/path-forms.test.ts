/** Paths as clients send them, and the two forms that a route allows (`upstreams[].paths`). */

import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Upstream } from '../../../gateway/config/schemas/gateway.ts'
import { Routes } from '../../../gateway/forward/routes.ts'
import { UpstreamRoute } from '../../../gateway/forward/upstream/route.ts'
import { refuseTarget, targetReadings } from '../../../gateway/http/request-target.ts'
import { bodyOptions, forwarder, head, noStreams, PUBLIC_URL, upstream } from '../../support/forwarder.ts'
import { exchange, RawUpstream } from '../../support/wire.ts'

const slashes = { encodedSlash: true, matrixParameters: false }
const parameters = { encodedSlash: false, matrixParameters: true }
const both = { encodedSlash: true, matrixParameters: true }

/** A gateway with one upstream behind all routes; each gives its own base. */
async function setUp(t: Test, routes: readonly Partial<Upstream>[]) {
  const api = new RawUpstream()
  const target = await api.listen()
  const { app, port } = await forwarder({ upstreams: routes.map((own) => upstream({ target, ...own })) })
  t.teardown(() => Promise.all([app.close(), api.close()]))
  const ask = async (path: string) => {
    const before = api.requests.length
    const { status } = await exchange(port, head(`GET ${path}`))
    return { status, sent: api.requests.slice(before).map(({ requestLine }) => requestLine.split(' ')[1]) }
  }
  return { api, ask }
}

t.test('what browsers and HTTP clients send raw, and %25, arrive byte for byte (H-08)', async (t) => {
  const { ask } = await setUp(t, [{}])
  for (const path of [
    '/items[0]',
    '/a|b',
    '/a^b',
    '/{id}',
    '/"quoted"',
    "/it's",
    '/`a`',
    '/discount-50%25.pdf',
    '/%2525',
    '/%252F',
    '/%5B0%5D/%7Cx%3A%3Bv=1',
    '/caf%C3%A9/%20x',
    '/a?b=[0]|^{}"`;%2F',
  ]) {
    t.same(await ask(`/api${path}`), { status: 200, sent: [path] }, path)
  }
})

t.test('%2F and ; are refused where no route allows them (H-08)', async (t) => {
  const { api, ask } = await setUp(t, [
    { prefix: '/slashes', paths: slashes },
    { prefix: '/parameters', paths: parameters },
    {},
  ])
  for (const path of [
    '/api/@scope%2Fname',
    '/api/cars;colour=red',
    '/slashes/cars;colour=red',
    '/parameters/@scope%2Fname',
    '/parameters/a;b=c%2Fd',
    '/nowhere/a%2Fb',
    '/nowhere;a',
    '/slashes%2Fa',
    '/parameters;a/b',
    '/oauth2%2Fendpoint',
    '/oauth2/endpoint;a',
  ]) {
    t.equal((await ask(path)).status, 400, path)
  }
  t.equal(api.requests.length, 0)
})

t.test('a route that allows them gets the bytes that were sent (H-08, H-10)', async (t) => {
  const { ask } = await setUp(t, [
    { prefix: '/npm', paths: slashes },
    { prefix: '/git', paths: slashes },
    { prefix: '/cars', paths: parameters },
    { prefix: '/all', paths: both },
  ])
  const accepted = {
    '/npm/@scope%2fname': '/@scope%2fname',
    '/npm/@scope%2Fname/-/name-1.0.0.tgz': '/@scope%2Fname/-/name-1.0.0.tgz',
    '/git/projects/group%2Fsub%2Fproject/issues?a=%2F;': '/projects/group%2Fsub%2Fproject/issues?a=%2F;',
    '/cars/vw;colour=red;doors=4/parts;size=l': '/vw;colour=red;doors=4/parts;size=l',
    '/cars/map/lat=50;long=20?zoom;': '/map/lat=50;long=20?zoom;',
    '/all/a%2Fb;c=d%2Fe': '/a%2Fb;c=d%2Fe',
  }
  for (const [path, sent] of Object.entries(accepted))
    t.same(await ask(path), { status: 200, sent: [sent] }, path)
})

t.test('whatever else is wrong with such a path still is (H-08)', async (t) => {
  const { api, ask } = await setUp(t, [{ paths: both }])
  for (const path of [
    '/api/..%2Fadmin',
    '/api/a%2F..%2Fadmin',
    '/api/a%2F.%2Fb',
    '/api/a%2F%2Fb',
    '/api/%2Fb',
    '/api/a%2F/b',
    '/api/..;/admin',
    '/api/..;a=b/admin',
    '/api/.;/admin',
    '/api/;a/b',
    '/api/a;x=%2F..%2F..%2Fadmin',
    '/api/a;/../b',
    '/api/a%2F\\b',
    '/api/a%5Cb;c',
    '/api/%2e%2e%2Fadmin',
    '/api/a;x=%61',
    '/api/a;x=%zz',
    '/api/a;x=\xe4',
    '/api/a;x=<',
    '/api/a%00%2F',
    '/api/a%2F%c0%af',
  ]) {
    t.equal((await ask(path)).status, 400, path)
  }
  t.equal(api.requests.length, 0)
})

t.test(
  'a path that an upstream may read as one of a longer prefix is refused (CVE-2026-6414, H-08)',
  async (t) => {
    const { api, ask } = await setUp(t, [
      { prefix: '/', public: true, paths: both },
      { prefix: '/api', public: true, paths: both },
      { prefix: '/api/admin', scopes: ['admin'] },
    ])
    for (const path of [
      '/api/admin%2Fusers',
      '/api%2Fadmin/users',
      '/api%2Fadmin%2Fusers',
      '/api/admin;x=1/users',
      '/api/admin;x=1',
      '/api;x/admin/users',
      '/api;x/orders',
      '/api%2Forders',
      '/api;%2Fadmin/users',
      '/api/admin;%2F/users',
      '/oauth2%2Fendpoint',
      '/oauth2/endpoint;x=1',
      '/oauth2;x/endpoint',
      '/api/x%2F..%2Fadmin/users',
    ]) {
      t.equal((await ask(path)).status, 400, path)
    }
    t.equal(api.requests.length, 0)
    t.equal((await ask('/api/administrator%2Fusers')).status, 200)
    t.equal((await ask('/oauth2/endpoint%2Fx')).status, 200)
  },
)

t.test('however a path is read, its route is the same (H-08, SC-08)', async (t) => {
  const prefixes = ['/', '/a', '/a/b', '/a/b/c']
  const routes = prefixes.map(
    (prefix) =>
      new UpstreamRoute(
        upstream({ prefix, target: 'http://h', paths: both }),
        PUBLIC_URL,
        noStreams,
        bodyOptions,
      ),
  )
  t.teardown(() => Promise.all(routes.map(({ targets }) => targets.close())))
  const table = new Routes(routes)
  const part = fc.constantFrom(
    'a',
    'b',
    'c',
    '/',
    '%2F',
    '%2f',
    ';',
    ';x=1',
    '.',
    '..',
    '%',
    'ab',
    '?',
    '%25',
  )
  let allowed = 0
  const property = fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
    const target = `/${parts.join('')}`
    if (refuseTarget(target) !== 'path_not_canonical' || !table.allows(target)) return true
    allowed++
    const [path = ''] = target.split('?', 1)
    // What servers are known to do, one after another, until nothing changes.
    const readings = [
      (text: string) => text.replace(/;[^/]*/g, ''),
      (text: string) => text.replace(/%2f/gi, '/'),
    ]
    const read = new Set([path])
    for (const one of read) for (const reading of readings) read.add(reading(one))
    return [...read].every((one) => {
      const { pathname } = new URL(`http://h${one}`)
      return !/\/\//.test(one) && pathname === one && table.find(one) === table.find(target)
    })
  })
  t.doesNotThrow(() => fc.assert(property, { numRuns: 20_000 }))
  t.ok(allowed > 100, `${allowed} were allowed`)
})

t.test('the readings of a target are linear to find (K-02)', async (t) => {
  const started = process.hrtime.bigint()
  targetReadings(`/${';%2F'.repeat(2000)}`, both)
  targetReadings(`/${';'.repeat(8000)}`, both)
  t.ok(process.hrtime.bigint() - started < 50_000_000n)
})
