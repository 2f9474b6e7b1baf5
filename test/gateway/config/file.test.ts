import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { file, load, matchAll, minimal, problemsOf, secret } from '../../support/gateway-config.ts'

t.test('every problem is listed at once, with line and column, in their order (design)', async (t) => {
  const path = file(
    t,
    `publicUrl: http://example.com
publicURL: x
listen: { port: 99999, hots: a }
trustProxy: [loopback, 10.0.0.0/8, "0.0.0.0/0", "1", "::1/129", 10.0.0.1]
allowedHosts: ["a b", "api.example.com:8443"]
provider:
  issuer: ftp://127.0.0.1:4000
  clientId: gateway
  pkse: own
clients:
  - clientId: a
    redirectUris: ["javascript:alert(1)"]
upstreams:
  - prefix: /api
    methods: [GET, OPTIONS]
    target: http://127.0.0.1:5000
  - prefix: /b/
    target: http://127.0.0.1:5000/x/
`,
  )
  const problems = problemsOf(path)
  const places = problems.map((line) => line.split(': ')[0])
  t.same(places, [
    'file:1:1 publicUrl',
    'file:2:1 publicURL',
    'file:3:11 listen.port',
    'file:3:24 listen.hots',
    'file:4:14 trustProxy[0]',
    'file:4:36 trustProxy[2]',
    'file:4:49 trustProxy[3]',
    'file:4:54 trustProxy[4]',
    'file:5:16 allowedHosts[0]',
    'file:6:1 provider.clientSecret',
    'file:7:3 provider.issuer',
    'file:9:3 provider.pkse',
    'file:12:20 clients[0].redirectUris[0]',
    'file:15:20 upstreams[0].methods[1]',
    'file:17:5 upstreams[1].prefix',
    'file:18:5 upstreams[1].target',
  ])
  t.match(problems[1], 'is not known here; did you mean "publicUrl"?')
  t.match(problems[3], 'is not known here; did you mean "host"?')
  t.match(problems[11], 'is not known here; did you mean "pkce"?')
})

t.test('a missing or wrong type is said in plain words (design)', async (t) => {
  const cases: [unknown, string][] = [
    [{ ...minimal(), publicUrl: 3 }, 'file:1:1 publicUrl: must be text'],
    [{ ...minimal(), trustProxy: true }, 'trustProxy: must be a list'],
    [{ ...minimal(), rateLimit: true }, 'rateLimit: must be a map or false'],
    [{ ...minimal(), clients: [] }, 'clients: must not be empty'],
    [{ ...minimal(), clients: null }, 'clients: must be a list'],
    [{ ...minimal(), tokens: 'jwt' }, 'tokens: must be one of opaque, relay'],
    [{ ...minimal(), listen: { port: 1.5 } }, 'listen.port: must be a whole number'],
    [{ ...minimal(), listen: 3000 }, 'listen: must be a map'],
    [{ ...minimal(), provider: { clientId: 'a' } }, 'provider.issuer: is required'],
    [{ ...minimal(), rateLimit: { token: { max: 'many' } } }, 'rateLimit.token.max: must be a whole number'],
    [
      { ...minimal(), rateLimit: { tokens: {} } },
      'rateLimit.tokens: is not known here; did you mean "token"?',
    ],
    [
      { ...minimal(), lifetimes: { codeSeconds: 61 } },
      'lifetimes.codeSeconds: must be', // The plugin's own rule (B-10).
    ],
  ]
  for (const [values, problem] of cases) {
    const problems = problemsOf(file(t, values))
    t.equal(problems.length, 1, problem)
    t.match(problems[0], problem)
  }
})

t.test(
  'a file that two readers could understand differently is refused (J-01 for the messages)',
  async (t) => {
    const cases: [string | Buffer, string[]][] = [
      ['a: 1\na: 2', ['file:2:1 this key is given twice']],
      ['{"a": 1, "a": 2}', ['file:1:10 this key is given twice']],
      ['a: 1\n---\nb: 2', ['file:2:1 a second document begins here; there must be one']],
      ['a: !vault x', ['file:1:4 unknown tag']],
      ['? [a]\n: b', ['file:1:3 a key must be text']],
      [
        `clientSecret: "${secret}" ${secret}`,
        [`file:1:${18 + secret.length} not valid YAML: unexpected token`],
      ],
      ['- a', ['file:1:1 must be a map of keys and values']],
      [Buffer.from([0x61, 0x3a, 0x20, 0xff]), ['file: is not UTF-8 text']],
      [
        `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]`,
        ['file: too many aliases'],
      ],
    ]
    for (const [content, problems] of cases) t.same(problemsOf(file(t, content)), problems)
    t.same(problemsOf(join(t.testdir({}), 'none.yaml')), ['file: cannot be read: ENOENT'])
  },
)

t.test('JSON, a byte order mark and a few aliases are fine', async (t) => {
  t.equal(load(file(t, JSON.stringify(minimal(), null, '\t'))).config.listen.port, 3000)
  t.equal(load(file(t, `\ufeff${stringify(minimal())}`)).config.listen.port, 3000)
  const withAlias = `${stringify(minimal())}allowedHosts: &hosts [A.example]\ntrustProxy: []\n`
  t.same(load(file(t, withAlias)).config.allowedHosts, ['a.example'])
  t.same(problemsOf(file(t, '')).length, 3, 'an empty file lacks three keys')
})

t.test('__proto__ and constructor are keys like any other (CWE-1321)', async (t) => {
  const path = file(t, `${stringify(minimal())}__proto__: { polluted: true }\nconstructor: {}\n`)
  matchAll(t, problemsOf(path), [/__proto__: is not known here/, /constructor: is not known here/])
  t.notOk('polluted' in {})
})
