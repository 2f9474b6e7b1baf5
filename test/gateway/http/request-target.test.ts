import fc from 'fast-check'
import t from 'tap'
import { publicLocation } from '../../../gateway/forward/headers/location.ts'
import { UpstreamRoute } from '../../../gateway/forward/upstream/route.ts'
import {
  refuseHost,
  refuseTarget,
  servedHosts,
  upstreamTarget,
} from '../../../gateway/http/request-target.ts'
import {
  bodyOptions,
  forwarder,
  HOST,
  head,
  noStreams,
  PUBLIC_URL,
  upstream,
} from '../../support/forwarder.ts'
import { exchange, RawUpstream } from '../../support/wire.ts'

const refusedPaths = {
  'a backslash': '/api/a\\b',
  'a fragment': '/api/a#b',
  'a semicolon': '/api;x=1/a',
  'a non-ASCII byte': '/api/\xe4',
  'a DEL': '/api/\x7f',
  'an escape that is none': '/api/%zz',
  'an escape cut short': '/api/%4',
  'a double slash': '/api//a',
  'a double slash in front': '//api/a',
  'a double slash and a host': '//evil.example/a',
  'a dot segment': '/api/./a',
  'a dot-dot segment': '/api/../admin',
  'a dot-dot segment at the end': '/api/..',
  'an encoded dot-dot segment': '/api/%2e%2e/admin',
  'a half encoded dot-dot segment': '/api/.%2E/admin',
  'an encoded letter': '/%61pi/a',
  'an encoded digit': '/api/%31',
  'an encoded hyphen': '/api/%2d',
  'an encoded underscore': '/api/%5F',
  'an encoded tilde': '/api/%7e',
  'an encoded slash': '/api/%2fadmin',
  'an encoded backslash': '/api/%5cadmin',
  'an encoded NUL': '/api/%00',
  'an encoded line feed': '/api/%0a',
  'an encoded DEL': '/api/%7f',
  'an over-long slash': '/api/%c0%af',
  'an over-long dot': '/api/%c0%ae',
  'a UTF-8 sequence cut short': '/api/%c3',
  'a less-than sign': '/api/<a>',
  'an encoded surrogate': '/api/%ed%a0%80',
}

t.test(
  'forms of a path that are a second spelling of another never reach an upstream (RFC 3986 §6.2.2, H-08, P-17, Appendix D)',
  async (t) => {
    const api = new RawUpstream()
    const { app, port } = await forwarder({ upstreams: [upstream({ target: await api.listen() })] })
    t.teardown(() => Promise.all([app.close(), api.close()]))
    for (const [form, path] of Object.entries(refusedPaths)) {
      await t.test(`${form} -> 400`, async (t) => {
        const answer = await exchange(port, head(`GET ${path}`))
        t.equal(answer.status, 400)
        t.equal(api.requests.length, 0)
      })
    }
  },
)

t.test('only the origin-form is accepted (RFC 9112 §3.2, H-07, P-2)', async (t) => {
  const api = new RawUpstream()
  const { app, port } = await forwarder({ upstreams: [upstream({ target: await api.listen() })] })
  t.teardown(() => Promise.all([app.close(), api.close()]))
  for (const target of [
    `http://${HOST}/api/a`,
    'http://evil.example/api/a',
    'HTTP://evil/api',
    '*',
    'api/a',
    '?a',
  ]) {
    await t.test(`GET ${target} -> 400`, async (t) => {
      t.equal((await exchange(port, head(`GET ${target}`))).status, 400)
      t.equal(api.requests.length, 0)
    })
  }
  await t.test('OPTIONS * -> 400', async (t) => {
    t.equal((await exchange(port, head('OPTIONS *'))).status, 400)
  })
  await t.test('CONNECT with an authority -> 405 and close', async (t) => {
    const answer = await exchange(port, head('CONNECT evil.example:443'))
    t.equal(answer.status, 405)
    t.equal(answer.closed, true)
    t.equal(api.requests.length, 0)
  })
})

t.test('a target of more than 8 KiB -> 414 (K-01)', async (t) => {
  t.equal(refuseTarget(`/${'a'.repeat(8191)}`), null)
  t.equal(refuseTarget(`/${'a'.repeat(8192)}`), 'target_too_long')
  t.equal(refuseTarget(`/a?${'a'.repeat(8192)}`), 'target_too_long')
})

t.test('a query holds visible ASCII without #, and is otherwise left alone (H-08)', async (t) => {
  t.equal(refuseTarget('/a?b=c&d=%zz&e="\\;//../'), null)
  t.equal(refuseTarget('/a?'), null)
  t.equal(refuseTarget('/a?b#c'), 'query_malformed')
  t.equal(refuseTarget('/a?b=\xe4'), 'query_malformed')
  t.equal(refuseTarget('/a?b= '), 'query_malformed')
})

t.test('the check is linear (K-02)', async (t) => {
  const started = process.hrtime.bigint()
  refuseTarget(`/${'%2'.repeat(4000)}`)
  refuseTarget('/.'.repeat(4096))
  refuseTarget(`/${'a%c3%a4'.repeat(1000)}`)
  t.ok(process.hrtime.bigint() - started < 50_000_000n)
})

const segment = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9\-_~!$&'()*+,=:@[\]|^{}"`]{1,8}$/),
  fc.constantFrom('%20', '%c3%a4', '%E2%82%AC', 'a%3Ab', '50%25', '%252F', '%5B0%5D', '...', '.a', 'a.'),
)
const acceptedTarget = fc
  .tuple(fc.array(segment, { maxLength: 5 }), fc.boolean(), fc.option(fc.stringMatching(/^[!-"$-~]{0,20}$/)))
  .map(([segments, slash, query]) => {
    const path = segments.map((part) => `/${part}`).join('') + (slash ? '/' : '')
    return `/api${path}${query === null ? '' : `?${query}`}`
  })

t.test(
  'the bytes of an accepted target are the bytes that the upstream gets (H-08, H-10, P-1, P-11, SC-08)',
  async (t) => {
    const api = new RawUpstream()
    const { app, port } = await forwarder({ upstreams: [upstream({ target: `${await api.listen()}/v1` })] })
    t.teardown(() => Promise.all([app.close(), api.close()]))
    await fc.assert(
      fc.asyncProperty(acceptedTarget, async (target) => {
        const answer = await exchange(port, head(`GET ${target}`))
        const sent = api.requests.at(-1)?.requestLine
        return answer.status === 200 && sent === `GET /v1${target.slice('/api'.length)} HTTP/1.1`
      }),
      { numRuns: 150 },
    )
  },
)

t.test('an accepted path is what a lenient URL parser would make of it too (H-08, SC-08)', async (t) => {
  const anything = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ unit: fc.constantFrom(...'/.%2ef5c0\\;?#a[]|^{}"`'), maxLength: 20 }),
  )
  const property = fc.property(anything, (tail) => {
    const target = `/${tail}`
    if (refuseTarget(target) !== null) return true
    // Resolves dot segments, also encoded ones, and turns backslashes. It encodes what browsers send as it is.
    const url = new URL(`http://upstream.example${target}`)
    const path = url.pathname.replace(/%(?:22|5[Ee]|60|7[BCDbcd])/g, decodeURIComponent)
    const sent = target.split('?', 1)[0]!.replace(/%(?:22|5[Ee]|60|7[BCDbcd])/g, decodeURIComponent)
    return url.host === 'upstream.example' && path === sent
  })
  t.doesNotThrow(() => fc.assert(property, { numRuns: 5000 }))
})

t.test('the upstream path is the target path and what follows the prefix (design, upstreams)', async (t) => {
  t.equal(upstreamTarget('/api/a/b?c', '/api', ''), '/a/b?c')
  t.equal(upstreamTarget('/api/a', '/api', '/v1'), '/v1/a')
  t.equal(upstreamTarget('/api', '/api', '/v1'), '/v1')
  t.equal(upstreamTarget('/api', '/api', ''), '/')
  t.equal(upstreamTarget('/api?a', '/api', ''), '/?a')
  t.equal(upstreamTarget('/api?a', '/api', '/v1'), '/v1?a')
  t.equal(upstreamTarget('/api/', '/api', '/v1'), '/v1/')
  t.equal(upstreamTarget('/a', '', '/v1'), '/v1/a')
})

t.test('only the public host and the allowed ones are served (RFC 9110 §7.2, H-13)', async (t) => {
  const served = servedHosts('https://api.example.com', ['Internal.example:8443'])
  t.equal(refuseHost('api.example.com', served), null)
  t.equal(refuseHost('API.example.com', served), null)
  t.equal(refuseHost('api.example.com:443', served), null)
  t.equal(refuseHost('internal.example:8443', served), null)
  t.equal(refuseHost('api.example.com:80', served), 'host_unknown')
  t.equal(refuseHost('api.example.com.', served), 'host_unknown')
  t.equal(refuseHost('evil.example', served), 'host_unknown')
  t.equal(refuseHost('internal.example', served), 'host_unknown')
  t.equal(refuseHost(undefined, served), 'host_malformed')
  t.equal(refuseHost('', served), 'host_malformed')
  t.equal(refuseHost('a/b@c', served), 'host_malformed')
  t.equal(refuseHost('user@api.example.com', served), 'host_malformed')
  t.equal(refuseHost('api.example.com:', served), 'host_malformed')
  t.equal(refuseHost('api.example.com, evil.example', served), 'host_malformed')
  t.equal(refuseHost('127.0.0.1:3000', servedHosts('http://127.0.0.1:3000', [])), null)
  t.equal(refuseHost('[::1]:3000', servedHosts('http://[::1]:3000', [])), null)
})

t.test('Location is rewritten, kept or removed (RFC 9110 §10.2.2, H-24)', async (t) => {
  const route = new UpstreamRoute(
    upstream({ target: 'http://10.1.2.3:5000/v1' }),
    PUBLIC_URL,
    noStreams,
    bodyOptions,
  )
  t.teardown(() => route.targets.close())
  const at = (location: string) => publicLocation(location, '/v1/orders/7', route)
  t.equal(at('http://10.1.2.3:5000/v1/orders/8?a=b#c'), `${PUBLIC_URL}/api/orders/8?a=b#c`)
  t.equal(at('/v1/orders/8'), `${PUBLIC_URL}/api/orders/8`)
  t.equal(at('8'), `${PUBLIC_URL}/api/orders/8`)
  t.equal(at('//10.1.2.3:5000/v1'), `${PUBLIC_URL}/api`)
  t.equal(at('https://www.example.com/help'), 'https://www.example.com/help')
  t.equal(at('com.example.app:/callback'), 'com.example.app:/callback')
  t.equal(at('/v2/orders'), null)
  t.equal(at('/v1x'), null)
  t.equal(at('/v1/../admin'), null)
  t.equal(at('http://10.1.2.3:9000/v1/a'), null)
  t.equal(at('https://10.1.2.3/v1/a'), null)
  t.equal(at('http://169.254.169.254/latest/meta-data'), null)
  t.equal(at('http://[::ffff:169.254.169.254]/'), null)
  t.equal(at('http://[::1]:8080/'), null)
  t.equal(at('http://2130706433/'), null)
  t.equal(at('http://localhost/'), null)
  t.equal(at('http://orders/'), null)
  t.equal(at('http://orders.svc.cluster.local/'), null)
  t.equal(at('http://[bad'), null)
})
