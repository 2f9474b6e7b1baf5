import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import type { Upstream } from '../../../gateway/config/schemas/gateway.ts'
import { allowedCookies, isSetCookieAllowed } from '../../../gateway/forward/headers/cookies.ts'
import { encodeClaim, sessionFields } from '../../../gateway/forward/headers/identity.ts'
import { RequestHeaders } from '../../../gateway/forward/headers/request-headers.ts'
import { responseHead, responseTrailers } from '../../../gateway/forward/headers/response-headers.ts'
import { preparedFields } from '../../../gateway/forward/headers/upstream-fields.ts'
import { TrustedProxies } from '../../../gateway/forward/trusted-proxies.ts'
import { UpstreamRoute } from '../../../gateway/forward/upstream/route.ts'
import { requestFieldRules } from '../../../gateway/http/request-fields.ts'
import { bodyOptions, noStreams, PUBLIC_URL, session, upstream } from '../../support/forwarder.ts'

const rules = requestFieldRules(['x-subject'])

function read(rawHeaders: string[], httpVersion = '1.1'): RequestHeaders {
  const request = new IncomingMessage(new Socket())
  request.rawHeaders = rawHeaders
  request.httpVersion = httpVersion
  return new RequestHeaders(request, rules)
}

const names = (fields: readonly string[]) => fields.filter((_, i) => i % 2 === 0)

const stripped = [
  ...[
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'Proxy-Authorization',
    'Proxy-Authenticate',
    'TE',
    'Trailer',
  ],
  ...[
    'Transfer-Encoding',
    'Upgrade',
    'HTTP2-Settings',
    'Expect',
    'Authorization',
    'Cookie',
    'Forwarded',
    'Host',
  ],
  ...['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Forwarded-User', 'X-Forwarded-Prefix'],
  ...['X-Real-IP', 'True-Client-IP', 'Client-IP', 'X-Client-IP', 'X-Cluster-Client-IP', 'CF-Connecting-IP'],
  ...[
    'Fastly-Client-IP',
    'X-Original-URL',
    'X-Original-URI',
    'X-Original-Host',
    'X-Original-Method',
    'X-Rewrite-URL',
  ],
  ...[
    'X-HTTP-Method',
    'X-HTTP-Method-Override',
    'X-Method-Override',
    'X-Envoy-Internal',
    'X-Amzn-Oidc-Identity',
  ],
  ...[
    'X-Middleware-Subrequest',
    'X-Auth-Subject',
    'X-Authenticated-User',
    'X-User',
    'X-User-Id',
    'X-Subject',
  ],
  ...[
    'X-Request-Id',
    'Content-Length',
    'DPoP',
    'Sec-WebSocket-Key',
    'X-Remote-User',
    'Remote-User',
    'bad name',
  ],
]

t.test('the fields of Appendix C are removed in every spelling (CVE-2025-64484, H-12)', async (t) => {
  for (const name of stripped) {
    await t.test(`${name}`, async (t) => {
      const spellings = [name, name.toLowerCase(), name.toUpperCase(), name.replaceAll('-', '_')]
      t.same(
        spellings.flatMap((spelling) => read([spelling, '1']).passed),
        [],
      )
    })
  }
})

t.test('every name that holds _ is removed (CVE-2025-48865, H-12)', async (t) => {
  t.same(read(['X_Anything', '1', 'content_type', 'a/b', '_', 'x']).passed, [])
})

t.test('whatever a client sends, no protected name passes (H-12, SC-08)', async (t) => {
  const protectedName =
    /^(?:host|authorization|cookie|forwarded|x-forwarded-.*|x-subject|x-auth.*|x-user.*|x-request-id|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|content-length|upgrade|http2-settings|expect|x-original-.*)$/
  const anyCase = fc
    .tuple(fc.constantFrom(...stripped), fc.infiniteStream(fc.boolean()), fc.infiniteStream(fc.boolean()))
    .map(([name, upper, underscore]) =>
      [...name]
        .map((letter) => (letter === '-' && underscore.next().value ? '_' : letter))
        .map((letter) => (upper.next().value ? letter.toUpperCase() : letter.toLowerCase()))
        .join(''),
    )
  const name = fc.oneof(anyCase, fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,20}$/))
  const value = fc.oneof(
    fc.stringMatching(/^[ -~\x80-\xff]{0,20}$/),
    fc.constantFrom('close', 'te', 'x-a, host'),
  )
  const property = fc.property(fc.array(fc.tuple(name, value), { maxLength: 20 }), (fields) => {
    const { passed } = read(fields.flat())
    return names(passed).every((kept) => !protectedName.test(kept.toLowerCase().replaceAll('_', '-')))
  })
  t.doesNotThrow(() => fc.assert(property, { numRuns: 2000 }))
})

t.test('end-to-end fields pass as they came, in their order', async (t) => {
  const raw = [
    'Accept',
    'a/b',
    'X-Custom',
    '1',
    'x-custom',
    '2',
    'Accept-Encoding',
    'gzip',
    'origin',
    'https://a.ex',
  ]
  t.same(read(raw).passed, raw)
})

t.test('a repeated singleton is a fault (RFC 9110 §5.3, H-20)', async (t) => {
  for (const name of [
    'Content-Type',
    'Origin',
    'Referer',
    'User-Agent',
    'If-None-Match',
    'Range',
    'DPoP',
    'Expect',
    'Upgrade',
  ]) {
    await t.test(name, async (t) => {
      t.equal(read([name, 'a', name.toLowerCase(), 'a']).fault, 'field_repeated')
      t.equal(read([name, 'a']).fault, null)
    })
  }
  t.equal(read(['Accept', 'a', 'Accept', 'b']).fault, null)
})

t.test(
  'what makes the framing doubtful is refused for every route (RFC 9112 §6.1, H-13, H-20)',
  async (t) => {
    t.equal(read(['Host', 'a', 'Host', 'a']).framing, 'host_malformed')
    t.equal(read(['Content-Length', '1', 'content-length', '1']).framing, 'framing')
    t.equal(read(['Content-Length', '+1']).framing, 'framing')
    t.equal(read(['Content-Length', '99999999999999999999']).framing, 'framing')
    t.equal(read(['Transfer-Encoding', 'xchunked']).framing, 'framing')
    t.equal(read(['Transfer-Encoding', 'gzip, chunked']).framing, 'framing')
    t.equal(read(['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']).framing, 'framing')
    t.equal(read(['Transfer-Encoding', 'chunked', 'Content-Length', '1']).framing, 'framing')
    t.equal(read(['Transfer-Encoding', 'chunked'], '1.0').framing, 'framing')
    t.equal(read([], '0.9').framing, 'http_version')
    t.equal(read([], '2.0').framing, 'http_version')
    t.equal(read(['Transfer-Encoding', 'Chunked']).framing, null)
    t.equal(read(Array.from({ length: 200 }, () => 'a')).framing, null)
    t.equal(read(Array.from({ length: 202 }, () => 'a')).framing, 'head_too_large')
  },
)

t.test('Connection removes what it names, wherever it stands (RFC 9110 §7.6.1, H-14)', async (t) => {
  const headers = read([
    'X-A',
    '1',
    'X-B',
    '2',
    'Connection',
    'close, x-a',
    'X-A',
    '3',
    'connection',
    'X-C',
    'x-c',
    '4',
  ])
  t.same(headers.passed, ['X-B', '2'])
  t.equal(headers.fault, null)
  t.equal(read(['Connection', 'Upgrade, HTTP2-Settings', 'Upgrade', 'h2c']).fault, null)
  t.equal(read(['Connection', 'TE', 'TE', 'trailers']).acceptsTrailers, true)
  t.equal(read(['TE', 'trailers, deflate']).acceptsTrailers, false)
})

t.test('Connection may not name a field that we set, read or need (CVE-2026-33805, H-14)', async (t) => {
  for (const name of [
    'x-auth-subject',
    'X-Subject',
    'authorization',
    'cookie',
    'host',
    'content-length',
    'content-type',
    'transfer-encoding',
    'forwarded',
    'x-forwarded-for',
    'x-request-id',
    'origin',
    'X_A',
  ]) {
    await t.test(name, async (t) => {
      t.equal(read(['Connection', `close, ${name}`]).fault, 'connection_protected')
    })
  }
})

t.test('a valid traceparent passes, any other is removed (Appendix C)', async (t) => {
  const valid = ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01']
  t.same(read(valid).passed, valid)
  t.same(read(['traceparent', '00-x']).passed, [])
  t.same(read(['traceparent', valid[1]!.replace('00-', 'ff-')]).passed, [])
  t.same(read(['traceparent', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`]).passed, [])
  t.same(read(['traceparent', `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`]).passed, [])
})

t.test('only allow-listed cookies pass, and never ours (H-17, H-25)', async (t) => {
  const allowed = new Set(['a', 'pkce-x', '__Host-pkce-x'])
  t.equal(allowedCookies('b=1; a=2;c=3;a="4"', allowed), 'a=2; a="4"')
  t.equal(allowedCookies('b=1', allowed), null)
  t.equal(allowedCookies('a', allowed), null)
  t.equal(allowedCookies('pkce-x=1; __Host-pkce-x=2; __host-pkce-x=3', allowed), null)
  t.equal(allowedCookies('a=1', new Set()), null)
  t.equal(isSetCookieAllowed('a=1; Path=/', allowed), true)
  t.equal(isSetCookieAllowed('b=1; a=2', allowed), false)
  t.equal(isSetCookieAllowed('__Host-pkce-x=1', allowed), false)
})

t.test(
  'identity headers are one visible ASCII value each, and decode to the claim (CWE-113, H-15)',
  async (t) => {
    const route = routeOf({
      identityHeaders: { 'x-subject': 'sub', 'x-name': 'name', 'x-none': 'none', 'x-roles': 'roles' },
    })
    t.teardown(() => route.targets.close())
    const claims = { sub: 'al\r\nice', name: 'Zoë 100%', roles: ['a', 'b'] }
    t.same(sessionFields(session({ subject: 'al\r\nice', claims }), route, 0).fields, [
      ...['authorization', 'Bearer provider-token', 'x-subject', 'al%0D%0Aice'],
      ...['x-name', 'Zo%C3%AB%20100%25', 'x-roles', '["a","b"]'],
    ])
    const property = fc.property(fc.string({ unit: 'grapheme' }), (claim) => {
      const encoded = encodeClaim(claim)
      return /^[\x21-\x7e]*$/.test(encoded) && decodeURIComponent(encoded) === claim
    })
    t.doesNotThrow(() => fc.assert(property))
    t.equal(encodeClaim('\ud800'), '%EF%BF%BD')
  },
)

t.test('the provider token goes only where it is configured to (H-16)', async (t) => {
  const route = routeOf({ credentials: 'none' })
  t.teardown(() => route.targets.close())
  t.same(sessionFields(session(), route, 0).fields, [])
})

t.test('X-Forwarded-For is continued for trusted proxies only (H-13, J-08)', async (t) => {
  const socket = (remoteAddress: string) =>
    Object.defineProperty(new Socket(), 'remoteAddress', { value: remoteAddress })
  const proxies = new TrustedProxies(['10.0.0.0/8', '192.0.2.1', 'fd00::/8'])
  t.equal(proxies.forwardedFor(socket('10.1.1.1'), '203.0.113.9'), '203.0.113.9, 10.1.1.1')
  t.equal(proxies.forwardedFor(socket('::ffff:10.1.1.1'), '203.0.113.9'), '203.0.113.9, 10.1.1.1')
  t.equal(proxies.forwardedFor(socket('192.0.2.1'), '203.0.113.9'), '203.0.113.9, 192.0.2.1')
  t.equal(proxies.forwardedFor(socket('fd00::1'), '203.0.113.9'), '203.0.113.9, fd00::1')
  t.equal(proxies.forwardedFor(socket('192.0.2.2'), '203.0.113.9'), '192.0.2.2')
  t.equal(proxies.forwardedFor(socket('10.1.1.1'), undefined), '10.1.1.1')
  t.equal(new TrustedProxies([]).forwardedFor(socket('127.0.0.1'), '203.0.113.9'), '127.0.0.1')
})

function routeOf(own: Partial<Upstream> = {}): UpstreamRoute {
  return new UpstreamRoute(
    upstream({ target: 'http://127.0.0.1:5000', ...own }),
    PUBLIC_URL,
    noStreams,
    bodyOptions,
  )
}

/** A header as the forwarder is told it. */
const lines = (...fields: string[]) => fields

t.test('what an upstream may not say is removed from its answer (RFC 9110 §7.6.1, H-25, P-10)', async (t) => {
  const route = routeOf({ cacheControl: 'upstream', cookies: { request: [], response: ['theirs'] } })
  t.teardown(() => route.targets.close())
  const { fields, contentLength } = responseHead(
    lines(
      ...['Server', 'x', 'X-Powered-By', 'x', 'Via', 'x', 'Access-Control-Allow-Origin', '*', 'Alt-Svc', 'x'],
      ...[
        'Strict-Transport-Security',
        'x',
        'Public-Key-Pins',
        'x',
        'Clear-Site-Data',
        '"*"',
        'Proxy-Authenticate',
        'x',
      ],
      ...[
        'Keep-Alive',
        'timeout=5',
        'Trailer',
        'x',
        'Upgrade',
        'h2c',
        'X-Accel-Redirect',
        '/internal',
        'X-Request-Id',
        'x',
      ],
      ...[
        'Set-Cookie',
        'ours=1',
        'Set-Cookie',
        'theirs=1; Path=/',
        'Set-Cookie',
        '__Host-pkce-a=1',
        'WWW-Authenticate',
        'Basic',
      ],
      ...[
        'X-Named',
        '1',
        'Connection',
        'close, X-Named',
        'X-Kept',
        'caf\xe9',
        'Cache-Control',
        'public',
        'Content-Length',
        '3',
      ],
    ),
    200,
    route,
    '/a',
  )
  t.same(fields, [
    ...[
      'Set-Cookie',
      'theirs=1; Path=/',
      'X-Kept',
      'caf\xe9',
      'Cache-Control',
      'public',
      'content-length',
      '3',
    ],
  ])
  t.equal(contentLength, 3)
})

t.test('an answer to a session is private and never stored (RFC 9111 §3.5, H-26)', async (t) => {
  const route = routeOf()
  t.teardown(() => route.targets.close())
  const raw = lines('Cache-Control', 'public, max-age=60', 'Expires', 'x', 'Pragma', 'x', 'Vary', 'Accept')
  const { fields } = responseHead(raw, 200, route, '/a')
  t.same(fields, ['Vary', 'Accept', 'cache-control', 'private, no-store', 'vary', 'Authorization, Cookie'])
})

t.test('an answer of a public route keeps its freshness (H-26)', async (t) => {
  const route = routeOf({ public: true })
  t.teardown(() => route.targets.close())
  t.same(responseHead(lines('Cache-Control', 'max-age=60'), 200, route, '/a').fields, [
    'Cache-Control',
    'max-age=60',
  ])
})

t.test("an upstream's 401 gets our challenge of realm upstream (design, errors)", async (t) => {
  const route = routeOf({ cacheControl: 'upstream' })
  t.teardown(() => route.targets.close())
  const { fields } = responseHead(lines('WWW-Authenticate', 'Bearer error="invalid_token"'), 401, route, '/a')
  t.same(fields, ['www-authenticate', 'Bearer realm="upstream"'])
})

t.test('contradicting framing of an answer is refused (RFC 9112 §6.3, H-25)', async (t) => {
  const route = routeOf()
  t.teardown(() => route.targets.close())
  const malformed = { code: 'PKCE_UPSTREAM', reason: 'answer_malformed', statusCode: 502 }
  t.throws(
    () => responseHead(lines('Content-Length', '1', 'Content-Length', '1'), 200, route, '/a'),
    malformed,
  )
  t.throws(() => responseHead(lines('Content-Length', '1, 1'), 200, route, '/a'), malformed)
  t.throws(
    () => responseHead(lines('Content-Length', '1', 'Transfer-Encoding', 'chunked'), 200, route, '/a'),
    malformed,
  )
})

t.test('a 204 has no content-length (RFC 9110 §8.6)', async (t) => {
  const route = routeOf({ cacheControl: 'upstream' })
  t.teardown(() => route.targets.close())
  t.same(responseHead(lines('Content-Length', '0'), 204, route, '/a').fields, [])
})

t.test('trailers pass the same rules (RFC 9110 §6.5.1)', async (t) => {
  const raw = lines(
    'X-Checksum',
    '1',
    'Content-Length',
    '9',
    'Set-Cookie',
    'a=1',
    'Transfer-Encoding',
    'x',
    'Content-Type',
    'a',
  )
  t.same(responseTrailers(raw), [['X-Checksum', '1']])
})

t.test('a signed identity is made anew at half of its life, and when its key is gone (Q-11)', async (t) => {
  let signed = 0
  const tokens = {
    revision: 0,
    sign: (_: unknown, audience: string, claims: readonly string[]) => {
      signed++
      return { token: `${audience} ${claims} ${signed}`, lifeMs: 60_000 }
    },
  }
  const own = { target: 'http://127.0.0.1:1', identityHeaders: { 'x-email': 'email', 'x-mail': 'email' } }
  const route = (more: Partial<Upstream>) => {
    const made = new UpstreamRoute(
      upstream({ ...own, credentials: 'identity-jwt', ...more }),
      PUBLIC_URL,
      noStreams,
      {
        ...bodyOptions,
        identityTokens: () => tokens,
      },
    )
    t.teardown(() => made.targets.close())
    return made
  }
  const [orders, alice] = [route({}), session()]
  const at = (now: number, to = orders) => preparedFields(alice, to, now)[1]
  t.equal(at(1000), `Bearer ${PUBLIC_URL}/api email 1`)
  t.equal(at(30_999), at(1000))
  t.equal(at(31_000), `Bearer ${PUBLIC_URL}/api email 2`)
  tokens.revision++
  t.equal(at(31_001), `Bearer ${PUBLIC_URL}/api email 3`)
  t.equal(at(31_001, route({ audience: 'orders' })), 'Bearer orders email 4', 'each upstream has its own')
  t.equal(at(31_001, route({ credentials: 'none' })), undefined)
  t.equal(at(31_001, route({ credentials: 'provider-token' })), 'Bearer provider-token')
  t.equal(signed, 4)
})
