import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { grantScope, parseScope } from '../../../plugin/oauth/access/scope.ts'
import { validateAuthorizationRequest } from '../../../plugin/oauth/authorization.ts'
import { credentialsOf, tokenIn } from '../../../plugin/oauth/bearer.ts'
import { parseAuthorizationResponse } from '../../../plugin/oauth/callback.ts'
import type { RegisteredClient } from '../../../plugin/oauth/client.ts'
import { identifyClient } from '../../../plugin/oauth/client-authentication.ts'
import { OAuthError } from '../../../plugin/oauth/errors.ts'
import { assertFormMediaType, parseForm } from '../../../plugin/oauth/form.ts'
import { codeChallengeS256, isCodeChallenge, verifyCodeVerifier } from '../../../plugin/oauth/pkce.ts'
import {
  appendToRedirectUri,
  redirectUriMatches,
  redirectUriProblem,
} from '../../../plugin/oauth/redirect-uri.ts'
import {
  parseAuthorizationCodeRequest,
  parseGrantType,
  parseRefreshRequest,
} from '../../../plugin/oauth/token.ts'

const tokenOf = (...request: Parameters<typeof credentialsOf>) => tokenIn(credentialsOf(...request))

const CLIENT: RegisteredClient = {
  clientId: 'app',
  name: 'App',
  enabled: true,
  authentication: 'client_secret_basic',
  clientSecret: 'secret',
  redirectUris: ['com.example.app:/cb', 'http://127.0.0.1/cb'],
  scopes: ['a', 'b'],
  providerScopes: ['a'],
  claims: [],
  passThrough: ['prompt', 'login_hint', 'ui_locales', 'max_age', 'acr_values'],
  allowedOrigins: [],
  providers: [],
  requirePar: false,
  dpop: 'off',
  repeatableExchange: false,
}
const CLIENTS = new Map([[CLIENT.clientId, CLIENT]])
const RESOURCES = {
  publicUrl: 'https://api.example.com',
  resources: ['https://api.example.com/mcp'],
}

/** Text near the edges of a grammar: its own characters mostly, anything at all sometimes. */
const near = (characters: string) =>
  fc.oneof(
    fc.array(fc.constantFrom(...characters), { maxLength: 80 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary', maxLength: 80 }),
  )
const printable = (constraints: fc.ArrayConstraints) =>
  fc.array(fc.integer({ min: 0x20, max: 0x7e }), constraints).map((codes) => String.fromCharCode(...codes))

/** Fails on anything thrown but an OAuthError. */
function onlyOAuthErrors(act: () => unknown): void {
  try {
    act()
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
  }
}

t.test('a parser throws an OAuthError or nothing (SC-08)', async (t) => {
  const targets: [string, fc.Arbitrary<string>, (text: string) => unknown][] = [
    ['parseForm', near('ab=&%+0cf3.'), (text) => parseForm(text, ['a', 'b', ''])],
    ['assertFormMediaType', near('application/x-www-form-urlencoded; charset="utf-8"'), assertFormMediaType],
    [
      'parseAuthorizationResponse',
      near('pks_AZaz09-state=code&error%0d+').map((text) => `state=pks_${'A'.repeat(64)}&${text}`),
      parseAuthorizationResponse,
    ],
    ['parseScope', near('ab "\\'), parseScope],
    ['a Basic header', near('Basic abcQ==+/ :'), (text) => identifyClient(text, {}, CLIENTS, 'r')],
    [
      'what a Basic header holds',
      near('app:secret%+c3'),
      (text) => identifyClient(`Basic ${Buffer.from(text).toString('base64')}`, {}, CLIENTS, 'r'),
    ],
    ['an Authorization header', near('Bearer abc=~.'), (text) => tokenOf(['Authorization', text], '/')],
    ['a request target', near('/?&=%61ccess_token'), (text) => tokenOf(['Authorization', 'Bearer a'], text)],
  ]
  for (const [name, text, parse] of targets) {
    t.test(name, async () => {
      fc.assert(
        fc.property(text, (input) => onlyOAuthErrors(() => parse(input))),
        { numRuns: 2000 },
      )
    })
  }

  t.test('requests made of known names with any values', async () => {
    const names = [
      'client_id',
      'redirect_uri',
      'response_type',
      'scope',
      'state',
      'prompt',
      'max_age',
      'login_hint',
      'grant_type',
      'code',
      'code_verifier',
      'refresh_token',
    ]
    const likely = fc.constantFrom(
      'app',
      'com.example.app:/cb',
      'http://127.0.0.1:1/cb',
      'code',
      'S256',
      'a',
      'none',
    )
    const parameters = fc.dictionary(
      fc.constantFrom(...names, 'code_challenge', 'code_challenge_method'),
      fc.oneof(likely, fc.string({ unit: 'binary' })),
    )
    fc.assert(
      fc.property(parameters, (request) => {
        const query = new URLSearchParams(request).toString()
        onlyOAuthErrors(() => validateAuthorizationRequest(query, CLIENT, RESOURCES))
        onlyOAuthErrors(() => parseGrantType(request))
        onlyOAuthErrors(() => parseAuthorizationCodeRequest(request))
        onlyOAuthErrors(() => parseRefreshRequest(request))
        onlyOAuthErrors(() => identifyClient(undefined, request, CLIENTS, 'r'))
      }),
      { numRuns: 2000 },
    )
  })
})

t.test('form', async (t) => {
  const text = (minLength: number) =>
    fc.string({ unit: 'binary', minLength, maxLength: 40 }).filter((value) => !/[\p{Cc}\p{Cs}]/u.test(value))

  t.test('parseForm(encode(x)) is x (RFC 6749 Appendix B, C-04)', async () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(text(1), text(1)), { maxLength: 32, selector: ([name]) => name }),
        (pairs) => {
          assert.deepEqual(
            Object.entries(
              parseForm(
                new URLSearchParams(pairs).toString(),
                pairs.map(([name]) => name),
              ),
            ).sort(),
            pairs.sort(),
          )
        },
      ),
    )
  })

  t.test('what it accepts, a lenient parser reads in the same way (P-7)', async () => {
    const names = ['a', 'b', 'ab', 'e']
    let accepted = 0
    fc.assert(
      fc.property(near('ab=&%+2cb65~'), (body) => {
        let strict: Record<string, string | undefined>
        try {
          strict = parseForm(body, names)
        } catch {
          return
        }
        accepted++
        assert.deepEqual(
          { ...strict },
          Object.fromEntries(
            [...new URLSearchParams(body)].filter(([name, value]) => names.includes(name) && value !== ''),
          ),
        )
      }),
      { numRuns: 5000 },
    )
    assert.ok(accepted > 50, `only ${accepted} bodies were accepted`)
  })
})

t.test('redirect URI', async (t) => {
  const registered = fc.constantFrom(
    'https://a.ex/cb',
    'https://a.ex:8443/cb?x=1',
    'com.example.app:/cb',
    'http://127.0.0.1/cb',
    'http://127.0.0.1:8000/cb?x=1',
    'http://[::1]/',
    'http://localhost/cb',
    'http://localhost',
    'com.example.app://cb',
  )
  const port = fc.oneof(
    fc.integer({ min: -1, max: 70_000 }).map((number) => `:${number}`),
    fc.constantFrom('', ':', ':00', ':080', ':1e3', ':+1', ':①'),
  )

  /** Without the port of a loopback host; undefined if what stands there is no port. Written without a regex. */
  function withoutLoopbackPort(uri: string): string | undefined {
    const hosts = ['http://127.0.0.1', 'http://[::1]', 'http://localhost']
    const host = hosts.find((prefix) => uri.startsWith(prefix))
    if (host === undefined) return undefined
    const ends = ['/', '?'].map((end) => uri.indexOf(end, host.length)).filter((index) => index !== -1)
    const end = Math.min(uri.length, ...ends)
    const authorityTail = uri.slice(host.length, end)
    const number = Number(authorityTail.slice(1))
    const isPort =
      authorityTail === `:${number}` && Number.isInteger(number) && number >= 1 && number <= 65_535
    const path = uri[end] === '/' ? '' : '/'
    return authorityTail === '' || isPort ? host + path + uri.slice(end) : undefined
  }

  t.test('only the port of a loopback host may differ (RFC 8252 §7.3, A-04, A-05)', async () => {
    let matched = 0
    const withPort = fc
      .tuple(registered, port)
      .map(([uri, chosen]) =>
        uri.replace(/^(http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost))(?::\d+)?/, `$1${chosen}`),
      )
    const edit = fc.record({
      at: fc.nat(40),
      remove: fc.nat(2),
      insert: near('./:@?#\\%*127az0').map((s) => s.slice(0, 2)),
    })
    const requested = fc.oneof(
      withPort,
      fc
        .tuple(withPort, edit)
        .map(([uri, { at, remove, insert }]) => uri.slice(0, at) + insert + uri.slice(at + remove)),
    )
    fc.assert(
      fc.property(registered, requested, (one, other) => {
        const stripped = withoutLoopbackPort(one)
        const expected = one === other || (stripped !== undefined && stripped === withoutLoopbackPort(other))
        if (expected) matched++
        assert.equal(redirectUriMatches(one, other), expected, `${one} against ${JSON.stringify(other)}`)
      }),
      { numRuns: 5000 },
    )
    assert.ok(matched > 50, `only ${matched} matched`)
  })

  t.test('what may be registered is one of three kinds for every other parser too (A-06)', async () => {
    let accepted = 0
    const uri = fc
      .tuple(
        fc.constantFrom(
          'https://',
          'http://',
          'http:',
          'com.ex:',
          'com.ex://',
          'javascript:',
          'java\nscript:',
          'data:',
          ' https://',
          'HTTP://',
        ),
        fc.constantFrom('a.ex', '127.0.0.1', '[::1]', '127.1', 'localhost', 'u@a.ex', ''),
        fc.constantFrom('', ':1', ':99999', ':x'),
        fc.constantFrom('', '/', '/cb', '/cb?x=1', '/cb#x', '/c\\b', '//x', '/%zz', '/*'),
      )
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(uri, (candidate) => {
        if (redirectUriProblem(candidate) !== undefined) return
        accepted++
        const { protocol, hostname, username, password, hash } = new URL(candidate)
        assert.deepEqual([username, password, hash], ['', '', ''])
        assert.ok(
          protocol === 'https:' ||
            (protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(hostname)) ||
            protocol.includes('.'),
          candidate,
        )
      }),
      { numRuns: 3000 },
    )
    assert.ok(accepted > 50, `only ${accepted} were accepted`)
  })

  t.test(
    'a response begins with the very URI, and its state comes back (RFC 6749 §4.1.2, A-12, B-11)',
    async () => {
      fc.assert(
        fc.property(registered, printable({ minLength: 1, maxLength: 2000 }), (uri, state) => {
          const url = appendToRedirectUri(uri, { code: 'c', state })
          assert.ok(url.startsWith(uri))
          assert.match(url, /^[\x21-\x7e]+$/)
          assert.equal(parseForm(url.slice(url.indexOf('?') + 1), ['state']).state, state)
        }),
      )
    },
  )
})

t.test('a code_verifier proves its own challenge and no other (RFC 7636 §4.6, C-09)', async () => {
  const characters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~']
  const verifier = fc
    .array(fc.constantFrom(...characters), { minLength: 43, maxLength: 128 })
    .map((parts) => parts.join(''))
  fc.assert(
    fc.property(verifier, verifier, (one, other) => {
      const challenge = codeChallengeS256(one)
      assert.ok(isCodeChallenge(challenge))
      assert.ok(verifyCodeVerifier(one, challenge))
      assert.equal(verifyCodeVerifier(other, challenge), one === other)
    }),
    { numRuns: 500 },
  )
})

t.test('granted scopes are asked for, allowed and ours (RFC 6749 §3.3, A-13)', async () => {
  const tokens = fc.array(fc.constantFrom<string>('a', 'b', 'c', 'openid', 'offline_access'), {
    maxLength: 6,
  })
  fc.assert(
    fc.property(tokens, tokens, (requested, allowed) => {
      onlyOAuthErrors(() => {
        const granted = grantScope(requested.length === 0 ? undefined : requested.join(' '), allowed)
        for (const scope of granted) {
          assert.ok(allowed.includes(scope) && (requested.length === 0 || requested.includes(scope)))
          assert.ok(!['openid', 'offline_access'].includes(scope))
        }
      })
    }),
  )
})

t.test('a token in the query is found by its decoded name, whatever its spelling (P-16, H-05)', async () => {
  const spell = (character: string, how: number) => {
    const hex = character.charCodeAt(0).toString(16)
    return how === 0 ? character : `%${how === 1 ? hex : hex.toUpperCase()}`
  }
  const spelled = fc
    .tuple(
      fc.constantFrom('access_token', 'access-token', 'ccess_token', 'access_token2', 'token'),
      fc.array(fc.nat(2), { minLength: 13, maxLength: 13 }),
    )
    .map(([name, how]) => [...name].map((character, index) => spell(character, how[index]!)).join(''))
  const pair = fc.tuple(spelled, fc.constantFrom('', '=', '=x', '%3Dx')).map((parts) => parts.join(''))

  fc.assert(
    fc.property(
      fc.array(pair, { minLength: 1, maxLength: 4 }),
      fc.constantFrom('&', ';'),
      (pairs, separator) => {
        const expected = pairs.some((text) => decodeURIComponent(text.split('=')[0]!) === 'access_token')
        const act = () => tokenOf(['authorization', 'Bearer a'], `/api?${pairs.join(separator)}`)
        if (expected) assert.throws(act, { reason: 'token_in_query' })
        else assert.equal(act(), 'a')
      },
    ),
    { numRuns: 1000 },
  )
})

t.test('100 KiB of anything takes linear time (K-02, CWE-1333)', async (t) => {
  const size = 100 * 1024
  const fill = (unit: string) => unit.repeat(Math.ceil(size / unit.length))
  const authorize = (changes: Record<string, string>) => () =>
    validateAuthorizationRequest(
      new URLSearchParams({
        client_id: 'app',
        redirect_uri: 'com.example.app:/cb',
        response_type: 'code',
        ...changes,
      }).toString(),
      CLIENT,
      RESOURCES,
    )
  const challenged = { code_challenge: codeChallengeS256('a'.repeat(43)), code_challenge_method: 'S256' }

  const hostile: [string, () => unknown][] = [
    ['a form of separators', () => parseForm(fill('&'), ['a'])],
    ['a form of plus signs', () => parseForm(`a=${fill('+')}`, ['a'])],
    ['a form of escapes', () => parseForm(`a=${fill('%41')}`, ['a'])],
    ['a form that fails at its end', () => parseForm(`a=${fill('%41')}%`, ['a'])],
    ['a form of names', () => parseForm(fill('a=1&'), ['b'])],
    ['a media type of spaces', () => assertFormMediaType(`application/x-www-form-urlencoded${fill(' ')}x`)],
    ['a scope of tokens', () => parseScope(fill('a '))],
    [
      'a scope of different tokens',
      () => parseScope(Array.from({ length: size / 6 }, (_, n) => `s${n}`).join(' ')),
    ],
    ['a client_id', authorize({ client_id: fill('a') })],
    ['a redirect_uri of digits', authorize({ redirect_uri: `http://127.0.0.1:${fill('1')}/cb` })],
    ['a redirect_uri of slashes', authorize({ redirect_uri: `http://127.0.0.1/${fill('/')} ` })],
    ['a challenge', authorize({ ...challenged, code_challenge: fill('A') })],
    ['a state', authorize({ ...challenged, state: fill('a') })],
    ['a prompt', authorize({ ...challenged, prompt: fill('login ') })],
    ['a login_hint', authorize({ ...challenged, login_hint: fill('a') })],
    ['a registered https URI', () => redirectUriProblem(`https://${fill('a.')}\n`)],
    ['a registered scheme', () => redirectUriProblem(`${fill('a.')}`)],
    ['a registered user name', () => redirectUriProblem(`https://${fill('@')}`)],
    ['a callback', () => parseAuthorizationResponse(`state=pks_${fill('A')}`)],
    [
      'an error description of line breaks',
      () =>
        parseAuthorizationResponse(`state=pks_${'A'.repeat(64)}&error=x&error_description=${fill('%0a')}`),
    ],
    ['a Basic header of padding', () => identifyClient(`Basic a${fill('=')}`, {}, CLIENTS, 'r')],
    ['a Basic header of spaces', () => identifyClient(`Basic${fill(' ')}`, {}, CLIENTS, 'r')],
    ['a Basic header', () => identifyClient(`Basic ${fill('YTpi')}`, {}, CLIENTS, 'r')],
    ['a bearer token of padding', () => tokenOf(['authorization', `Bearer a${fill('=')}x`], '/')],
    ['a bearer header of spaces', () => tokenOf(['authorization', `Bearer${fill(' ')}`], '/')],
    ['a query of near misses', () => tokenOf(['authorization', 'Bearer a'], `/?${fill('&access_toke')}`)],
    ['a query of escapes', () => tokenOf(['authorization', 'Bearer a'], `/?${fill('&%61ccess_toke%')}`)],
    ['a verifier', () => verifyCodeVerifier(fill('a'), codeChallengeS256('a'))],
  ]
  for (const [what, act] of hostile) {
    t.test(what, async (t) => {
      // The best of three: a neighbour on the machine slows one run down, quadratic time slows down all.
      const elapsedMs = [1, 2, 3].map(() => {
        const start = performance.now()
        onlyOAuthErrors(act)
        return performance.now() - start
      })
      t.ok(Math.min(...elapsedMs) < 250, `${Math.min(...elapsedMs)} ms`)
    })
  }
})
