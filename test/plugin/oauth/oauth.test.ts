import t from 'tap'
import {
  AuthorizationResponseError,
  authorizationResponse,
  validateAuthorizationRequest,
} from '../../../plugin/oauth/authorization.ts'
import { bearerToken, challenge } from '../../../plugin/oauth/bearer.ts'
import {
  issuerMatches,
  mapProviderError,
  parseAuthorizationResponse,
} from '../../../plugin/oauth/callback.ts'
import { identifyClient, identifyResourceServer } from '../../../plugin/oauth/client-authentication.ts'
import { OAuthError, type Reason } from '../../../plugin/oauth/errors.ts'
import { assertFormMediaType, parseForm } from '../../../plugin/oauth/form.ts'
import { authorizationServerMetadata } from '../../../plugin/oauth/metadata.ts'
import {
  codeChallengeS256,
  isCodeChallenge,
  isCodeVerifier,
  verifyCodeVerifier,
} from '../../../plugin/oauth/pkce.ts'
import {
  appendToRedirectUri,
  redirectUriKind,
  redirectUriMatches,
  redirectUriProblem,
} from '../../../plugin/oauth/redirect-uri.ts'
import { formatScope, grantScope, narrowScope, parseScope } from '../../../plugin/oauth/scope.ts'
import {
  assertScopeAllowed,
  parseAuthorizationCodeRequest,
  parseGrantType,
  parseRefreshRequest,
  parseTokenParameter,
  tokenResponse,
} from '../../../plugin/oauth/token.ts'
import type { RegisteredClient } from '../../../plugin/options/resolved.ts'

// RFC 7636 Appendix B
const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
const ISSUER = 'https://api.example.com'
const STATE_HANDLE = `pks_${'A'.repeat(64)}`

function registered(overrides: Partial<RegisteredClient> = {}): RegisteredClient {
  return {
    clientId: 'com.example.app',
    name: 'Example',
    enabled: true,
    authentication: 'none',
    redirectUris: ['com.example.app:/callback', 'http://127.0.0.1/cb', 'https://a.ex/cb'],
    scopes: ['orders.read', 'orders.write'],
    providerScopes: ['orders.read'],
    claims: [],
    passThrough: [],
    allowedOrigins: [],
    ...overrides,
  }
}

const registry = (...clients: RegisteredClient[]) =>
  new Map(clients.map((client) => [client.clientId, client]))

/** The OAuthError that `act` throws; anything else fails the test. */
function refusal(act: () => unknown): OAuthError {
  try {
    act()
  } catch (error) {
    if (error instanceof OAuthError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const reasonOf = (act: () => unknown): Reason => refusal(act).reason

t.test('form: media type (RFC 6749 §4.1.3, C-02)', async (t) => {
  const accepted = [
    'application/x-www-form-urlencoded',
    'Application/X-WWW-Form-Urlencoded',
    'application/x-www-form-urlencoded;charset=UTF-8',
    'application/x-www-form-urlencoded; charset="utf-8"',
  ]
  for (const contentType of accepted) {
    t.test(`accepts ${contentType}`, async (t) => {
      t.doesNotThrow(() => assertFormMediaType(contentType))
    })
  }
  const refused = [
    undefined,
    '',
    'application/json',
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded; charset=utf-16',
    'application/x-www-form-urlencoded; charset=utf-8; x=y',
    'application/x-www-form-urlencoded; charset="utf-8',
    'application/x-www-form-urlencoded, application/json',
    'application/x-www-form-urlencodedx',
    'application/x-www-form-urlencoded\n',
    'xapplication/x-www-form-urlencoded',
  ]
  for (const contentType of refused) {
    t.test(`refuses ${JSON.stringify(contentType)}`, async (t) => {
      const error = refusal(() => assertFormMediaType(contentType))
      t.match(error, { reason: 'media_type', statusCode: 400, error: 'invalid_request' })
    })
  }
})

t.test('form: decoding', async (t) => {
  t.test('escapes, plus signs and UTF-8 are decoded once (RFC 6749 Appendix B)', async (t) => {
    t.same({ ...parseForm('a=%2B+%25&%C3%BC=%E2%82%AC&c=x=y') }, { a: '+ %', ü: '€', c: 'x=y' })
  })

  t.test('an empty value counts as omitted, and so does a bare name (RFC 6749 §3.1, A-11)', async (t) => {
    t.same(Object.keys(parseForm('redirect_uri=&state&&code=a&')), ['code'])
  })

  const repeated = ['code=a&code=b', 'code=a&%63ode=b', 'code=a&%63ode=', 'code&code', 'a+b=1&a%20b=2']
  for (const text of repeated) {
    t.test(`a name that decodes to another's is a repeat: ${text} (RFC 6749 §3.1, A-10, C-05)`, async (t) => {
      t.match(
        refusal(() => parseForm(text)),
        { reason: 'parameter_repeated', statusCode: 400 },
      )
    })
  }

  const malformed: [string, string][] = [
    ['an escape that is none', 'code=%zz'],
    ['a cut escape', 'code=%2'],
    ['a bare percent sign', 'code=%'],
    ['UTF-8 that ends early', 'code=%c3'],
    ['over-long UTF-8', 'code=%c0%ae'],
    ['a surrogate in UTF-8', 'code=%ed%a0%80'],
    ['an escaped NUL', 'code=%00'],
    ['an escaped line break', 'code=a%0d%0ab'],
    ['DEL', 'code=%7f'],
    ['a C1 control', 'code=%c2%85'],
    ['a control character in a name', 'co%00de=a'],
    ['a raw space', 'code=a b'],
    ['a raw line break', 'code=a\n'],
    ['a raw letter outside ASCII', 'code=ü'],
    ['a broken name', '%zz=a'],
  ]
  for (const [what, text] of malformed) {
    t.test(`refuses ${what} (RFC 6749 Appendix B, C-04)`, async (t) => {
      t.equal(
        reasonOf(() => parseForm(text)),
        'form_malformed',
      )
    })
  }

  t.test('32 parameters pass and 33 do not (C-03)', async (t) => {
    const pairs = Array.from({ length: 33 }, (_, index) => `p${index}=1`)
    t.equal(Object.keys(parseForm(pairs.slice(1).join('&'))).length, 32)
    t.equal(
      reasonOf(() => parseForm(pairs.join('&'))),
      'parameters_too_many',
    )
  })

  t.test('__proto__ and constructor are names like any other (C-05)', async (t) => {
    const parameters = parseForm('__proto__=x&code=a')
    t.equal(Object.getPrototypeOf(parameters), null)
    t.equal(parameters.code, 'a')
    t.equal(parameters.constructor, undefined)
    t.equal(({} as Record<string, unknown>).x, undefined)
  })

  t.test('an error says nothing of what was sent (C-21)', async (t) => {
    const error = refusal(() => parseForm('code=s3cret%zz'))
    t.notMatch(`${error.message} ${error.stack} ${String(error.cause)}`, 's3cret')
  })
})

t.test('pkce', async (t) => {
  t.test('the vector of RFC 7636 Appendix B', async (t) => {
    t.equal(codeChallengeS256(VERIFIER), CHALLENGE)
    t.ok(verifyCodeVerifier(VERIFIER, CHALLENGE))
  })

  t.test('another verifier proves nothing (RFC 7636 §4.6, C-12)', async (t) => {
    t.notOk(verifyCodeVerifier(`${VERIFIER.slice(0, -1)}l`, CHALLENGE))
  })

  t.test('the challenge is not its own verifier: there is no plain (RFC 9700 §2.1.1, C-10)', async (t) => {
    t.notOk(verifyCodeVerifier(CHALLENGE, CHALLENGE))
  })

  t.test('a challenge with the same bytes but another spelling never matches (P-8, C-09)', async (t) => {
    const twin = `${CHALLENGE.slice(0, -1)}N`
    t.same(Buffer.from(twin, 'base64url'), Buffer.from(CHALLENGE, 'base64url'))
    t.notOk(isCodeChallenge(twin))
    t.notOk(verifyCodeVerifier(VERIFIER, twin))
  })

  t.test('strings of any length give false and not an exception (P-8)', async (t) => {
    t.notOk(verifyCodeVerifier('', CHALLENGE))
    t.notOk(verifyCodeVerifier(VERIFIER, ''))
    t.notOk(verifyCodeVerifier(VERIFIER, `${CHALLENGE}A`))
  })

  const verifiers: [string, boolean][] = [
    ['a'.repeat(42), false],
    ['a'.repeat(43), true],
    ['a'.repeat(128), true],
    ['a'.repeat(129), false],
    [`${'a'.repeat(42)}~`, true],
    [`${'a'.repeat(42)}+`, false],
    [`${'a'.repeat(42)}=`, false],
    [`${'a'.repeat(42)}š`, false],
    [`${'a'.repeat(43)}\n`, false],
  ]
  for (const [verifier, valid] of verifiers) {
    const shown = `${verifier.length} characters ending in ${JSON.stringify(verifier.at(-1))}`
    t.test(`a verifier of ${shown}: ${valid} (RFC 7636 §4.1, C-08)`, async (t) => {
      t.equal(isCodeVerifier(verifier), valid)
    })
  }

  const challenges = [42, 44].map((length) => CHALLENGE.padEnd(length, 'A').slice(0, length))
  for (const text of [
    ...challenges,
    `${CHALLENGE.slice(0, -1)}=`,
    `+${CHALLENGE.slice(1)}`,
    `~${CHALLENGE.slice(1)}`,
  ]) {
    t.test(`${text} is no S256 challenge (RFC 7636 §4.2, A-08)`, async (t) => {
      t.notOk(isCodeChallenge(text))
    })
  }
})

t.test('redirect URI: matching (RFC 9700 §2.1, RFC 8252 §7.3)', async (t) => {
  const rows: [registered: string, requested: string, matches: boolean][] = [
    ['https://a.ex/cb', 'https://a.ex/cb', true],
    ['https://a.ex/cb', 'https://a.ex/cb/', false],
    ['https://a.ex/cb', 'https://a.ex/c', false],
    ['https://a.ex/cb', 'https://A.ex/cb', false],
    ['https://a.ex/cb', 'https://a.ex:443/cb', false],
    ['https://a.ex/cb', 'https://a.ex/cb/../evil', false],
    ['https://a.ex/cb', 'https://a.ex/cb/..;/x', false],
    ['https://a.ex/cb', 'https://a.ex/cb/%2e%2e/evil', false],
    ['https://a.ex/cb', 'https://a.ex/cb?x=1', false],
    ['https://a.ex/cb', 'https://a.ex/cb#', false],
    ['https://a.ex/cb', 'https://a.ex@evil.ex/cb', false],
    ['https://127.0.0.1/cb', 'https://127.0.0.1:8443/cb', false],
    ['com.example.app:/cb', 'com.example.app:/cb', true],
    ['com.example.app:/cb', 'com.example.app:/cb2', false],
    ['com.example.app:/cb', 'COM.example.app:/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:49152/cb', true],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1/cb', true],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:65535/cb', true],
    ['http://127.0.0.1:8000/cb', 'http://127.0.0.1:9000/cb', true],
    ['http://127.0.0.1:8000/cb', 'http://127.0.0.1/cb', true],
    ['http://127.0.0.1/cb?x=1', 'http://127.0.0.1:1/cb?x=1', true],
    ['http://[::1]/cb', 'http://[::1]:49152/cb', true],
    ['http://127.0.0.1/cb', 'http://[::1]:49152/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:0/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:080/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:65536/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:99999/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1/cb/', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1/CB', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1/cb?x=1', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1/x/../cb', false],
    ['http://127.0.0.1/cb', 'https://127.0.0.1:1/cb', false],
    ['http://127.0.0.1/cb', 'http://localhost:1/cb', false],
    ['http://127.0.0.1/cb', 'http://127.1:1/cb', false],
    ['http://127.0.0.1/cb', 'http://2130706433:1/cb', false],
    ['http://127.0.0.1/cb', 'http://0x7f.1:1/cb', false],
    ['http://127.0.0.1/cb', 'http://①②⑦.0.0.1:1/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1.evil.ex:1/cb', false],
    ['http://127.0.0.1/cb', 'http://user@127.0.0.1:1/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1@evil.ex/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1\t/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1/cb\n', false],
    ['http://127.0.0.1/cb', ' http://127.0.0.1:1/cb', false],
    ['http://[::1]/cb', 'http://[0:0:0:0:0:0:0:1]:1/cb', false],
    ['http://[::1]/cb', 'http://[::ffff:127.0.0.1]:1/cb', false],
  ]
  for (const [one, other, matches] of rows) {
    t.test(
      `${one} ${matches ? 'matches' : 'refuses'} ${JSON.stringify(other)} (A-03, A-04, A-05)`,
      async (t) => {
        t.equal(redirectUriMatches(one, other), matches)
      },
    )
  }
})

t.test('redirect URI: registration (RFC 8252 §7, A-06)', async (t) => {
  const accepted: [string, ReturnType<typeof redirectUriKind>][] = [
    ['https://app.example.com/callback', 'https'],
    ['https://app.example.com', 'https'],
    ['https://app.example.com:8443/cb?tenant=1', 'https'],
    ['http://127.0.0.1/callback', 'loopback'],
    ['http://127.0.0.1:8000/', 'loopback'],
    ['http://[::1]/callback', 'loopback'],
    ['com.example.app:/callback', 'private-use'],
    ['com.example.app:/oauth2redirect/example-provider?x=1', 'private-use'],
  ]
  for (const [uri, kind] of accepted) {
    t.test(`accepts ${uri} as ${kind}`, async (t) => {
      t.equal(redirectUriProblem(uri), undefined)
      t.equal(redirectUriKind(uri), kind)
    })
  }

  const refused: [string, RegExp][] = [
    ['', /must be a URI/],
    ['https://a.ex/cb#x', /fragment/],
    ['https://a.ex/*', /wildcard/],
    ['https://*.a.ex/cb', /wildcard/],
    ['https://a.ex/c b', /must be a URI/],
    ['https://a.ex\\cb', /must be a URI/],
    ['https://a.ex/%zz', /must be a URI/],
    ['https://ä.ex/', /must be a URI/],
    ['java\nscript:alert(1)', /must be a URI/],
    [' https://a.ex/cb', /must be a URI/],
    ['javascript:alert(1)', /scheme with a dot/],
    ['data:text/html,x', /scheme with a dot/],
    ['myapp:/cb', /scheme with a dot/],
    ['com.example.app://cb', /one slash/],
    ['com.example.app:cb', /one slash/],
    ['com.example.app:///cb', /one slash/],
    ['Com.Example.App:/cb', /lower-case/],
    ['HTTPS://a.ex/cb', /lower-case/],
    ['//a.ex/cb', /must be https/],
    ['https://user@a.ex/cb', /user name/],
    ['https://user:pw@a.ex/cb', /user name/],
    ['https:///cb', /a host/],
    ['https:/a.ex/cb', /a host/],
    ['https://a.ex:99999/cb', /port/],
    ['https://a.ex:/cb', /port/],
    ['http://a.ex/cb', /127\.0\.0\.1/],
    ['http://localhost/cb', /localhost/],
    ['http://localhost:8000/cb', /localhost/],
    ['http://127.1/cb', /127\.0\.0\.1/],
    ['http://127.0.0.1', /with a path/],
    ['http://127.0.0.1:70000/cb', /127\.0\.0\.1/],
    ['http://u@127.0.0.1/cb', /user name/],
    ['https://a.ex/cb?code=x', /must not have code/],
    ['https://a.ex/cb?x=1&%73tate=x', /must not have state/],
    ['https://a.ex/cb?x=1&x=2', /each name once/],
  ]
  for (const [uri, problem] of refused) {
    t.test(`refuses ${JSON.stringify(uri)}`, async (t) => {
      t.match(redirectUriProblem(uri), problem)
    })
  }
})

t.test('redirect URI: responses', async (t) => {
  t.test('an existing query is kept, byte for byte (RFC 6749 §3.1.2, B-11)', async (t) => {
    t.equal(
      authorizationResponse('com.ex.app:/cb?x=1', { code: 'c', state: 's', iss: ISSUER }),
      'com.ex.app:/cb?x=1&code=c&state=s&iss=https%3A%2F%2Fapi.example.com',
    )
  })

  t.test('the raw string is extended and never normalised (P-9, B-11)', async (t) => {
    t.equal(appendToRedirectUri('https://a.ex:443/./cb', { code: 'c' }), 'https://a.ex:443/./cb?code=c')
    t.equal(appendToRedirectUri('https://a.ex/cb?', { code: 'c' }), 'https://a.ex/cb?code=c')
    t.equal(appendToRedirectUri('https://a.ex/cb?x=1&', { code: 'c' }), 'https://a.ex/cb?x=1&code=c')
  })

  t.test('without a state there is none in the response (RFC 6749 §4.1.2)', async (t) => {
    t.equal(
      authorizationResponse('a.b:/cb', { error: 'access_denied', state: undefined, iss: ISSUER }),
      'a.b:/cb?error=access_denied&iss=https%3A%2F%2Fapi.example.com',
    )
  })

  t.test('every printable ASCII character of a state comes back (RFC 6749 §4.1.2, A-12)', async (t) => {
    const state = Array.from({ length: 95 }, (_, index) => String.fromCharCode(0x20 + index)).join('')
    const url = authorizationResponse('a.b:/cb', { code: 'c', state, iss: ISSUER })
    t.equal(parseForm(url.slice(url.indexOf('?') + 1)).state, state)
    t.equal(new URLSearchParams(url.slice(url.indexOf('?'))).get('state'), state)
    t.equal(decodeURIComponent(/state=([^&]*)/.exec(url)![1]!), state)
    t.match(url, /^[\x21-\x7e]+$/)
  })
})

t.test('scope', async (t) => {
  t.test('tokens are kept in order, each once (RFC 6749 §3.3)', async (t) => {
    t.same(parseScope('b a b c'), ['b', 'a', 'c'])
    t.equal(formatScope(['b', 'a']), 'b a')
  })

  for (const text of ['', ' a', 'a ', 'a  b', 'a"b', 'a\\b', 'a\tb', 'ä', 'a\u0000']) {
    t.test(`${JSON.stringify(text)} is no scope (RFC 6749 A.4, A-13)`, async (t) => {
      t.match(
        refusal(() => parseScope(text)),
        { reason: 'scope_not_allowed', error: 'invalid_scope' },
      )
    })
  }

  t.test('nothing requested is all that is allowed (RFC 6749 §3.3, A-13)', async (t) => {
    t.same(grantScope(undefined, ['a', 'b']), ['a', 'b'])
  })

  t.test('OpenID scopes are accepted from every client and never granted (A-13)', async (t) => {
    t.same(grantScope('openid profile email address phone offline_access a', ['a', 'b']), ['a'])
    t.same(grantScope('openid', ['a', 'b']), [])
    t.same(grantScope('openid a', ['openid', 'a']), ['a'])
    t.same(grantScope(undefined, ['openid', 'a']), ['a'])
  })

  t.test('a scope that is not allowed is refused, not dropped (RFC 6749 §4.1.2.1, A-13)', async (t) => {
    t.equal(
      reasonOf(() => grantScope('a admin', ['a'])),
      'scope_not_allowed',
    )
  })

  t.test('a refresh narrows and never widens (RFC 6749 §6, D-13)', async (t) => {
    t.same(narrowScope(undefined, ['a', 'b']), ['a', 'b'])
    t.same(narrowScope('openid b', ['a', 'b']), ['b'])
    t.equal(
      reasonOf(() => narrowScope('a c', ['a', 'b'])),
      'scope_not_allowed',
    )
  })
})

t.test('authorization request', async (t) => {
  const redirectUri = 'com.example.app:/callback'
  const valid = {
    client_id: 'com.example.app',
    redirect_uri: redirectUri,
    response_type: 'code',
    code_challenge: CHALLENGE,
    code_challenge_method: 'S256',
    state: 'a%26b=1',
  }
  const validate = (changes: Record<string, string> = {}, client: Partial<RegisteredClient> = {}) =>
    validateAuthorizationRequest(
      parseForm(new URLSearchParams({ ...valid, ...changes }).toString()),
      registry(registered(client)),
    )

  t.test('a valid request becomes a verified one', async (t) => {
    t.same(validate({ foo: '1', nonce: 'n', resource: 'r' }), {
      client: registered(),
      redirectUri,
      codeChallenge: CHALLENGE,
      state: 'a%26b=1',
      scope: ['orders.read', 'orders.write'],
      providerScope: ['orders.read'],
      passThrough: {},
      maxAgeSeconds: undefined,
    })
  })

  t.test('a loopback redirect keeps the port of the request (RFC 8252 §7.3, A-04)', async (t) => {
    t.equal(validate({ redirect_uri: 'http://127.0.0.1:49152/cb' }).redirectUri, 'http://127.0.0.1:49152/cb')
  })

  t.test('response_mode=query and an absent state are fine', async (t) => {
    t.equal(validate({ response_mode: 'query', state: '' }).state, undefined)
  })

  const local: [string, Record<string, string>, Reason, Partial<RegisteredClient>?][] = [
    ['an unknown client', { client_id: 'nope' }, 'authorize_client_unknown'],
    ['no client', { client_id: '' }, 'authorize_client_unknown'],
    ['a disabled client', {}, 'authorize_client_unknown', { enabled: false }],
    ['another redirect_uri', { redirect_uri: 'https://a.ex/cb/' }, 'redirect_uri_mismatch'],
    ['no redirect_uri', { redirect_uri: '' }, 'redirect_uri_mismatch'],
    [
      'a wrong redirect_uri before anything else that is wrong',
      { redirect_uri: 'https://evil.ex', response_type: 'token', code_challenge: '', prompt: 'none' },
      'redirect_uri_mismatch',
    ],
  ]
  for (const [what, changes, reason, client] of local) {
    t.test(`${what} is answered locally (RFC 6749 §4.1.2.1, A-02, A-03)`, async (t) => {
      const error = refusal(() => validate(changes, client))
      t.match(error, { reason, statusCode: 400, error: 'invalid_request' })
      t.notOk(error instanceof AuthorizationResponseError)
    })
  }

  const redirected: [string, Record<string, string>, Reason, string][] = [
    ['no response_type (A-07)', { response_type: '' }, 'response_type_missing', 'invalid_request'],
    ['token (A-07)', { response_type: 'token' }, 'response_type_unsupported', 'unsupported_response_type'],
    [
      'hybrid (A-07)',
      { response_type: 'code id_token' },
      'response_type_unsupported',
      'unsupported_response_type',
    ],
    [
      'response_mode=fragment (A-07)',
      { response_mode: 'fragment' },
      'response_mode_unsupported',
      'invalid_request',
    ],
    [
      'a request object (A-15)',
      { request: 'e30.e30.' },
      'request_object_unsupported',
      'request_not_supported',
    ],
    [
      'a request_uri (A-15)',
      { request_uri: 'http://169.254.169.254/' },
      'request_uri_unsupported',
      'request_uri_not_supported',
    ],
    ['a registration (A-15)', { registration: '{}' }, 'registration_unsupported', 'invalid_request'],
    ['claims (A-15)', { claims: '{}' }, 'registration_unsupported', 'invalid_request'],
    ['no challenge (A-08)', { code_challenge: '' }, 'challenge_missing', 'invalid_request'],
    [
      'a short challenge (A-08)',
      { code_challenge: CHALLENGE.slice(1) },
      'challenge_malformed',
      'invalid_request',
    ],
    [
      'no challenge method (A-09)',
      { code_challenge_method: '' },
      'challenge_method_unsupported',
      'invalid_request',
    ],
    ['plain (A-09)', { code_challenge_method: 'plain' }, 'challenge_method_unsupported', 'invalid_request'],
    ['s256 (A-09)', { code_challenge_method: 's256' }, 'challenge_method_unsupported', 'invalid_request'],
    ['S512 (A-09)', { code_challenge_method: 'S512' }, 'challenge_method_unsupported', 'invalid_request'],
    ['a scope not allowed (A-13)', { scope: 'admin' }, 'scope_not_allowed', 'invalid_scope'],
    ['prompt=none (A-21)', { prompt: 'none' }, 'prompt_none', 'login_required'],
    ['prompt=login none (A-21)', { prompt: 'login none' }, 'prompt_none', 'login_required'],
  ]
  for (const [what, changes, reason, wire] of redirected) {
    t.test(`${what} is refused at the redirect URI, with the state (RFC 6749 §4.1.2.1)`, async (t) => {
      const error = refusal(() => validate(changes))
      t.ok(error instanceof AuthorizationResponseError)
      t.match(error, { reason, error: wire, redirectUri, state: 'a%26b=1' })
    })
  }

  for (const state of ['a'.repeat(513), 'ü', 'a\u00a0b']) {
    t.test(
      `a state of ${state.length} characters that is malformed is refused and not echoed (A-12)`,
      async (t) => {
        const error = refusal(() => validate({ state }))
        t.ok(error instanceof AuthorizationResponseError)
        t.equal(error.reason, 'state_malformed')
        t.equal((error as AuthorizationResponseError).state, undefined)
        const earlier = refusal(() => validate({ state, response_type: 'token' }))
        t.equal((earlier as AuthorizationResponseError).state, undefined)
      },
    )
  }

  t.test('512 printable characters are a state (A-12)', async (t) => {
    const state = ` ~${'+/='.repeat(170)}`
    t.equal(validate({ state }).state, state)
  })

  t.test('the first thing wrong decides, in the order of the walk', async (t) => {
    const all = {
      response_type: 'x',
      request: 'x',
      code_challenge: '',
      scope: 'admin',
      state: 'ü',
      prompt: 'none',
    }
    const fixes: Record<string, string>[] = [
      {},
      { response_type: 'code' },
      { request: '' },
      { code_challenge: CHALLENGE },
      { scope: '' },
      { state: 's' },
    ]
    const reasons = fixes.map((_, index) =>
      reasonOf(() => validate(Object.assign({}, all, ...fixes.slice(0, index + 1)))),
    )
    t.same(reasons, [
      'response_type_unsupported',
      'request_object_unsupported',
      'challenge_missing',
      'scope_not_allowed',
      'state_malformed',
      'prompt_none',
    ])
  })

  t.test('only parameters on the client’s list are passed through, values checked (A-14)', async (t) => {
    const passThrough = ['prompt', 'login_hint', 'ui_locales', 'max_age', 'acr_values']
    const sent = {
      prompt: 'login consent',
      login_hint: 'ü@a.ex',
      ui_locales: 'de-CH fr',
      max_age: '60',
      acr_values: 'x',
    }
    const verified = validate({ ...sent, client_secret: 'y', nonce: 'z' }, { passThrough })
    t.same(verified.passThrough, sent)
    t.equal(verified.maxAgeSeconds, 60)
    t.match(validate(sent, { passThrough: ['login_hint'] }), {
      passThrough: { login_hint: 'ü@a.ex' },
      maxAgeSeconds: undefined,
    })
  })

  const values: [string, string][] = [
    ['prompt', 'logout'],
    ['prompt', 'login  consent'],
    ['login_hint', 'a'.repeat(257)],
    ['ui_locales', 'de;q=1'],
    ['max_age', '-1'],
    ['max_age', '1e3'],
    ['acr_values', 'ü'],
  ]
  for (const [name, value] of values) {
    t.test(`${name}=${value.slice(0, 20)} is refused where it would be passed on (A-14)`, async (t) => {
      t.equal(
        reasonOf(() => validate({ [name]: value }, { passThrough: [name] })),
        'parameter_invalid',
      )
      t.doesNotThrow(() => validate({ [name]: value }))
    })
  }

  t.test('a logged refusal holds neither the state nor the registered client (J-01, J-02)', async (t) => {
    const client = { authentication: 'client_secret_basic', clientSecret: 's3cret' } as const
    const error = refusal(() => validate({ scope: 'admin', state: 'st4te' }, client))
    const enumerable: Record<string, unknown> = {}
    for (const key in error) enumerable[key] = (error as unknown as Record<string, unknown>)[key]
    t.notMatch(JSON.stringify(enumerable) + error.stack, /s3cret|st4te/)
  })
})

t.test('provider’s authorization response', async (t) => {
  const parse = (parameters: Record<string, string>) =>
    parseAuthorizationResponse(new URLSearchParams({ state: STATE_HANDLE, ...parameters }).toString())

  t.test('a code and the issuer (RFC 6749 §4.1.2, RFC 9207 §2)', async (t) => {
    t.same(parse({ code: 'abc', iss: 'https://as.ex', session_state: 'x' }), {
      state: STATE_HANDLE,
      iss: 'https://as.ex',
      code: 'abc',
    })
  })

  t.test('a code of 4096 characters passes, one more does not (RFC 6749 A.11, B-07)', async (t) => {
    t.equal(parse({ code: '~'.repeat(4096) }).code?.length, 4096)
    t.equal(
      reasonOf(() => parse({ code: '~'.repeat(4097) })),
      'callback_malformed',
    )
  })

  const malformed: [string, string, Reason][] = [
    ['no state', 'code=a', 'callback_malformed'],
    ['a state that is none of ours', 'code=a&state=x', 'state_unknown'],
    ['a handle of another type', `code=a&state=pkc_${'A'.repeat(64)}`, 'state_unknown'],
    ['a state with a line break', `code=a&state=${STATE_HANDLE}%0a`, 'form_malformed'],
    ['neither code nor error', `state=${STATE_HANDLE}`, 'callback_malformed'],
    ['code and error', `state=${STATE_HANDLE}&code=a&error=access_denied`, 'callback_malformed'],
    ['a code with a line break', `state=${STATE_HANDLE}&code=a%0d%0ab`, 'form_malformed'],
    ['a code outside ASCII', `state=${STATE_HANDLE}&code=%C3%BC`, 'callback_malformed'],
    ['two codes', `state=${STATE_HANDLE}&code=a&code=b`, 'parameter_repeated'],
    ['two states', `state=${STATE_HANDLE}&code=a&%73tate=b`, 'parameter_repeated'],
    ['two issuers', `state=${STATE_HANDLE}&code=a&iss=a&iss=b`, 'parameter_repeated'],
    ['two errors', `state=${STATE_HANDLE}&error=a&error=b`, 'parameter_repeated'],
  ]
  for (const [what, query, reason] of malformed) {
    t.test(`${what} is refused, locally (RFC 6749 §3.1, B-02, B-06, B-07)`, async (t) => {
      t.match(
        refusal(() => parseAuthorizationResponse(query)),
        { reason, statusCode: 400 },
      )
    })
  }

  t.test(
    'an unknown error becomes server_error, its description one short log line (B-08, CWE-117)',
    async (t) => {
      const query = `state=${STATE_HANDLE}&error=%3Cscript%3E&error_description=%0d%0aX:+y&error_uri=http://evil`
      t.same(parseAuthorizationResponse(query), {
        state: STATE_HANDLE,
        iss: undefined,
        error: 'server_error',
        detail: '<script>:  X: y',
      })
      const long = parse({ error: 'access_denied', error_description: 'x'.repeat(5000) })
      t.equal(long.error !== undefined && long.detail.length, 256)
    },
  )

  t.test('errors that help the app come through, all others do not (RFC 6749 §4.1.2.1, B-08)', async (t) => {
    t.equal(mapProviderError('access_denied'), 'access_denied')
    t.equal(mapProviderError('temporarily_unavailable'), 'temporarily_unavailable')
    t.equal(mapProviderError('invalid_client'), 'server_error')
    t.equal(mapProviderError('toString'), 'server_error')
  })

  const issuers: [iss: string | undefined, issRequired: boolean, matches: boolean][] = [
    ['https://as.ex', true, true],
    ['https://as.ex', false, true],
    [undefined, false, true],
    [undefined, true, false],
    ['https://as.ex/', false, false],
    ['https://AS.ex', false, false],
    ['https://evil', true, false],
  ]
  for (const [iss, issRequired, matches] of issuers) {
    t.test(
      `iss ${iss}, ${issRequired ? 'promised' : 'optional'}: ${matches} (RFC 9207 §2.4, B-05)`,
      async (t) => {
        const provider = { issuer: 'https://as.ex', issRequired }
        const iss_ = iss === undefined ? {} : { iss }
        t.equal(issuerMatches(parse({ code: 'a', ...iss_ }), provider), matches)
        t.equal(issuerMatches(parse({ error: 'access_denied', ...iss_ }), provider), matches)
      },
    )
  }
})

t.test('client authentication (RFC 6749 §2.3.1, C-07)', async (t) => {
  const publicClient = registered()
  const basicClient = registered({
    clientId: 'a:b%c+d ü',
    authentication: 'client_secret_basic',
    clientSecret: 'p:w%r+ ü',
  })
  const postClient = registered({
    clientId: 'post',
    authentication: 'client_secret_post',
    clientSecret: 'pw',
  })
  const off = registered({ clientId: 'off', enabled: false })
  const clients = registry(publicClient, basicClient, postClient, off)

  const encode = (text: string) => new URLSearchParams({ '': text }).toString().slice(1)
  const base64 = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  const basic = (clientId: string, secret: string) => base64(`${encode(clientId)}:${encode(secret)}`)
  const identify = (authorization: string | undefined, parameters: Record<string, string> = {}) =>
    identifyClient(authorization, parseForm(new URLSearchParams(parameters).toString()), clients, ISSUER)
  const publicId = publicClient.clientId

  t.test('a public client is known by its client_id', async (t) => {
    t.equal(identify(undefined, { client_id: publicId }), publicClient)
  })

  t.test('an empty secret counts as none, in the body and in Basic', async (t) => {
    t.equal(identify(undefined, { client_id: publicId, client_secret: '' }), publicClient)
    t.equal(identify(basic(publicId, '')), publicClient)
    t.equal(identify(basic(publicId, ''), { client_id: publicId }), publicClient)
  })

  t.test('Basic halves are form-decoded after base64', async (t) => {
    t.equal(identify(basic('a:b%c+d ü', 'p:w%r+ ü')), basicClient)
    t.equal(identify(basic('a:b%c+d ü', 'p:w%r+ ü').replace('Basic', 'bAsIc ')), basicClient)
    t.equal(identify(basic('a:b%c+d ü', 'p:w%r+ ü'), { client_id: 'a:b%c+d ü' }), basicClient)
  })

  t.test('a secret in the body, for a client registered so', async (t) => {
    t.equal(identify(undefined, { client_id: 'post', client_secret: 'pw' }), postClient)
  })

  const unauthorized: [string, string | undefined, Record<string, string>, Reason][] = [
    ['nothing at all', undefined, {}, 'client_credentials_missing'],
    ['an unknown client', undefined, { client_id: 'nope' }, 'client_unknown'],
    ['a name from the prototype', undefined, { client_id: '__proto__' }, 'client_unknown'],
    ['an unknown client with a secret', basic('nope', 'pw'), {}, 'client_unknown'],
    ['an unknown client with an empty secret', basic('nope', ''), {}, 'client_unknown'],
    ['a disabled client', undefined, { client_id: 'off' }, 'client_disabled'],
    [
      'a public client with a secret',
      undefined,
      { client_id: publicId, client_secret: 'x' },
      'client_method_not_registered',
    ],
    ['a public client with a Basic secret', basic(publicId, 'x'), {}, 'client_method_not_registered'],
    [
      'a confidential client without a secret',
      undefined,
      { client_id: 'post' },
      'client_credentials_missing',
    ],
    ['a confidential client with an empty secret', basic('post', ''), {}, 'client_credentials_missing'],
    ['a wrong secret', undefined, { client_id: 'post', client_secret: 'pW' }, 'client_credentials_wrong'],
    ['a wrong Basic secret', basic('a:b%c+d ü', 'x'), {}, 'client_credentials_wrong'],
    ['the right secret by another method', basic('post', 'pw'), {}, 'client_method_not_registered'],
    [
      'an assertion',
      undefined,
      { client_id: 'post', client_assertion: 'e30.e30.' },
      'client_method_not_registered',
    ],
    ['another scheme', 'Bearer abc', { client_id: publicId }, 'client_credentials_malformed'],
    ['an empty header', '', { client_id: publicId }, 'client_credentials_malformed'],
    ['Basic alone', 'Basic', { client_id: publicId }, 'client_credentials_malformed'],
    ['Basic that is not base64', 'Basic %%%', {}, 'client_credentials_malformed'],
    ['Basic in two pieces', `${base64('post:pw')} x`, {}, 'client_credentials_malformed'],
    ['Basic with a non-canonical tail', 'Basic cG9zdDpwd3==', {}, 'client_credentials_malformed'],
    ['Basic without a colon', base64('post'), {}, 'client_credentials_malformed'],
    ['Basic without a client', base64(':pw'), {}, 'client_credentials_malformed'],
    ['Basic with a broken escape', base64('post:%zz'), {}, 'client_credentials_malformed'],
    ['Basic in raw UTF-8', base64('post:ü'), {}, 'client_credentials_malformed'],
    ['Basic with bytes that are not UTF-8', base64('post:%ff'), {}, 'client_credentials_malformed'],
  ]
  for (const [what, authorization, parameters, reason] of unauthorized) {
    t.test(`${what}: 401 invalid_client with a challenge (RFC 6749 §5.2)`, async (t) => {
      const error = refusal(() => identify(authorization, parameters))
      t.match(error, {
        reason,
        statusCode: 401,
        error: 'invalid_client',
        message: 'Client authentication failed.',
      })
      t.same(error.headers, { 'www-authenticate': `Basic realm="${ISSUER}"` })
    })
  }

  const several: [string, string | undefined, Record<string, string>][] = [
    ['Basic and a secret in the body', basic('post', 'pw'), { client_id: 'post', client_secret: 'pw' }],
    ['Basic and a secret without a client_id', basic('post', 'pw'), { client_secret: 'pw' }],
    [
      'a secret and an assertion',
      undefined,
      { client_id: 'post', client_secret: 'pw', client_assertion: 'x' },
    ],
    ['two clients', basic('post', 'pw'), { client_id: publicId }],
  ]
  for (const [what, authorization, parameters] of several) {
    t.test(`${what}: 400 invalid_request (RFC 6749 §2.3)`, async (t) => {
      const error = refusal(() => identify(authorization, parameters))
      t.match(error, { reason: 'client_methods_several', statusCode: 400, error: 'invalid_request' })
      t.notOk('www-authenticate' in error.headers)
    })
  }

  t.test('a resource server authenticates by either method, and always (RFC 7662 §2.1, E-04)', async (t) => {
    const server = { clientId: 'rs', clientSecret: 'pw' }
    const servers = new Map([['rs', server]])
    const identifyServer = (authorization: string | undefined, parameters: Record<string, string>) =>
      identifyResourceServer(authorization, parameters, servers, ISSUER)

    t.equal(identifyServer(basic('rs', 'pw'), {}), server)
    t.equal(identifyServer(undefined, { client_id: 'rs', client_secret: 'pw' }), server)
    const refused: [string | undefined, Record<string, string>, Reason][] = [
      [undefined, {}, 'client_credentials_missing'],
      [undefined, { client_id: 'rs' }, 'client_credentials_missing'],
      [basic('rs', ''), {}, 'client_credentials_missing'],
      [basic('rs', 'x'), {}, 'client_credentials_wrong'],
      [basic('nope', ''), {}, 'client_credentials_missing'],
      [basic('nope', 'pw'), {}, 'client_unknown'],
      [undefined, { client_id: 'rs', client_assertion: 'x' }, 'client_method_not_registered'],
    ]
    const errors = refused.map(([authorization, parameters]) =>
      refusal(() => identifyServer(authorization, parameters)),
    )
    t.same(
      errors.map(({ reason, statusCode }) => [reason, statusCode]),
      refused.map(([, , reason]) => [reason, 401]),
    )
  })
})

t.test('token request', async (t) => {
  t.test('grant_type (RFC 6749 §5.2, C-06)', async (t) => {
    t.equal(parseGrantType({ grant_type: 'authorization_code' }), 'authorization_code')
    t.equal(parseGrantType({ grant_type: 'refresh_token' }), 'refresh_token')
    t.match(
      refusal(() => parseGrantType({})),
      { reason: 'grant_type_missing', error: 'invalid_request' },
    )
    t.match(
      refusal(() => parseGrantType({ grant_type: 'password' })),
      { reason: 'grant_type_unsupported', error: 'unsupported_grant_type' },
    )
  })

  const valid = { code: 'pkc_x', redirect_uri: 'a.b:/cb', code_verifier: VERIFIER }

  t.test('an authorization code request; the method it names is ignored (RFC 7636 §4.5, C-10)', async (t) => {
    t.same(parseAuthorizationCodeRequest({ ...valid, code_challenge_method: 'plain', resource: 'r' }), {
      code: 'pkc_x',
      redirectUri: 'a.b:/cb',
      codeVerifier: VERIFIER,
    })
  })

  const invalid: [string, Record<string, string | undefined>, Reason][] = [
    ['no verifier', { code_verifier: undefined }, 'verifier_malformed'],
    ['a short verifier', { code_verifier: 'a'.repeat(42) }, 'verifier_malformed'],
    ['a long verifier', { code_verifier: 'a'.repeat(129) }, 'verifier_malformed'],
    ['no code', { code: undefined }, 'code_missing'],
    ['a code of 513 characters', { code: 'a'.repeat(513) }, 'code_missing'],
    ['no redirect_uri', { redirect_uri: undefined }, 'redirect_uri_missing'],
  ]
  for (const [what, changes, reason] of invalid) {
    t.test(`${what}: 400 invalid_request (RFC 6749 §5.2, C-08)`, async (t) => {
      t.match(
        refusal(() => parseAuthorizationCodeRequest({ ...valid, ...changes })),
        { reason, statusCode: 400, error: 'invalid_request' },
      )
    })
  }

  t.test('a refresh request (RFC 6749 §6)', async (t) => {
    t.same(parseRefreshRequest({ refresh_token: 'r', scope: 'a' }), { refreshToken: 'r', scope: 'a' })
    t.equal(
      reasonOf(() => parseRefreshRequest({})),
      'refresh_token_missing',
    )
    t.equal(
      reasonOf(() => parseRefreshRequest({ refresh_token: 'a'.repeat(513) })),
      'refresh_token_missing',
    )
  })

  t.test('a scope that the client may not have is refused before the code is touched (C-11)', async (t) => {
    t.doesNotThrow(() => assertScopeAllowed({}, registered()))
    t.doesNotThrow(() => assertScopeAllowed({ scope: 'openid orders.read' }, registered()))
    t.match(
      refusal(() => assertScopeAllowed({ scope: 'admin' }, registered())),
      { error: 'invalid_scope', statusCode: 400 },
    )
  })

  t.test('the token of a revocation or introspection request (RFC 7009 §2.1)', async (t) => {
    t.equal(parseTokenParameter({ token: 'x', token_type_hint: 'nonsense' }), 'x')
    t.equal(
      reasonOf(() => parseTokenParameter({})),
      'token_missing',
    )
    t.equal(
      reasonOf(() => parseTokenParameter({ token: 'x'.repeat(8193) })),
      'token_missing',
    )
  })

  t.test('a response has exactly the members of RFC 6749 §5.1 (C-19)', async (t) => {
    const issued = { accessToken: 'pka_x', tokenType: 'Bearer', expiresInSeconds: 599.9, scope: ['a', 'b'] }
    t.strictSame(tokenResponse({ ...issued, refreshToken: 'pkr_x' }), {
      access_token: 'pka_x',
      token_type: 'Bearer',
      expires_in: 599,
      refresh_token: 'pkr_x',
      scope: 'a b',
    })
  })

  t.test('no refresh token is an absent member, and no scope an empty one', async (t) => {
    t.strictSame(
      tokenResponse({
        accessToken: 'a',
        tokenType: 'Bearer',
        expiresInSeconds: -1,
        refreshToken: undefined,
        scope: [],
      }),
      { access_token: 'a', token_type: 'Bearer', expires_in: 0, scope: '' },
    )
  })
})

t.test('bearer token', async (t) => {
  const token = `pka_${'A'.repeat(64)}`
  const read = (...rawHeaders: string[]) => bearerToken(rawHeaders, '/api/x')

  t.test('one header, whatever the case of name and scheme (RFC 6750 §2.1)', async (t) => {
    t.equal(read('Host', 'a', 'Authorization', `Bearer ${token}`), token)
    t.equal(read('If-None-Match', 'x', 'authorization', `bearer ${token}`), token)
    t.equal(read('AUTHORIZATION', `BEARER   ${token}`), token)
    t.equal(read('Authorization', 'Bearer a.b-c_d~e+f/g=='), 'a.b-c_d~e+f/g==')
  })

  t.test('no header: token_absent (RFC 6750 §3.1, H-06)', async (t) => {
    t.match(
      refusal(() => read('Host', 'a')),
      { reason: 'token_absent', statusCode: 401, error: '' },
    )
  })

  for (const value of [`Basic ${token}`, `DPoP ${token}`, `BearerX ${token}`, 'Digest username="x"']) {
    t.test(`${value.slice(0, 12)}…: another scheme is no bearer token (RFC 6750 §3.1, H-06)`, async (t) => {
      t.equal(
        reasonOf(() => read('Authorization', value)),
        'token_absent',
      )
    })
  }

  t.test('a value called authorization is no header of that name', async (t) => {
    t.equal(
      reasonOf(() => read('x-request-id', 'authorization')),
      'token_absent',
    )
  })

  const malformed: string[][] = [
    ['Authorization', `Bearer ${token}`, 'authorization', `Bearer ${token}`],
    ['Authorization', 'Basic eDp5', 'Authorization', `Bearer ${token}`],
    ['Authorization', ''],
    ['Authorization', 'Bearer'],
    ['Authorization', 'Bearer '],
    ['Authorization', token],
    ['Authorization', `Bearer${token}`],
    ['Authorization', `Bearer ${token} `],
    ['Authorization', `Bearer ${token} x`],
    ['Authorization', `Bearer ${token}, Bearer ${token}`],
    ['Authorization', `Bearer\t${token}`],
    ['Authorization', 'Bearer a=b'],
    ['Authorization', 'Bearer š'],
    ['Authorization', `Bearer ${'a'.repeat(8193)}`],
  ]
  for (const rawHeaders of malformed) {
    t.test(`${rawHeaders.join(' ').slice(0, 60)}…: 400 invalid_request (RFC 6750 §3.1, H-05)`, async (t) => {
      t.match(
        refusal(() => read(...rawHeaders)),
        { reason: 'token_malformed', statusCode: 400, error: 'invalid_request' },
      )
    })
  }

  t.test('8 KiB is a token (K-03)', async (t) => {
    t.equal(read('Authorization', `Bearer ${'a'.repeat(8192)}`).length, 8192)
  })

  for (const url of [
    '/api?access_token=x',
    '/api?a=b&access_token=x',
    '/api?access_token',
    '/api?%61ccess_token=x',
    '/api?a=%zz&%61%63%63%65%73%73%5F%74%6F%6b%65%6E=x',
    '/api?a=b;access_token=x',
    '/api?ACCESS_TOKEN=x',
  ]) {
    t.test(`${url} carries a token in its query (RFC 9700 §4.3.2, P-16, H-05)`, async (t) => {
      t.equal(
        reasonOf(() => bearerToken(['Authorization', `Bearer ${token}`], url)),
        'token_in_query',
      )
    })
  }

  for (const url of [
    '/api/access_token=x',
    '/api?my_access_token=x',
    '/api?access_tokens=x',
    '/api?access_token%3dx',
    '/api?q=access_token',
    '/api?%2561ccess_token=x',
    '/api?a=%zz',
  ]) {
    t.test(`${url} does not`, async (t) => {
      t.equal(bearerToken(['Authorization', `Bearer ${token}`], url), token)
    })
  }

  t.test('challenges (RFC 6750 §3, H-06)', async (t) => {
    t.equal(challenge(ISSUER), 'Bearer realm="https://api.example.com"')
    t.equal(challenge(ISSUER, { error: '', description: 'x' }), 'Bearer realm="https://api.example.com"')
    t.equal(
      challenge(ISSUER, { error: 'invalid_token' }),
      'Bearer realm="https://api.example.com", error="invalid_token"',
    )
    t.equal(
      challenge(ISSUER, { error: 'insufficient_scope', description: 'No.', scope: ['a', 'b'] }),
      'Bearer realm="https://api.example.com", error="insufficient_scope", error_description="No.", scope="a b"',
    )
  })
})

t.test('metadata (RFC 8414 §2, E-13)', async (t) => {
  const options = {
    publicUrl: ISSUER,
    routePrefix: '/oauth2',
    clients: registry(registered()),
    resourceServers: new Map(),
  }

  t.test('says what is implemented and nothing else', async (t) => {
    t.strictSame(authorizationServerMetadata(options), {
      issuer: ISSUER,
      authorization_endpoint: `${ISSUER}/oauth2/authorize`,
      token_endpoint: `${ISSUER}/oauth2/token`,
      revocation_endpoint: `${ISSUER}/oauth2/revoke`,
      userinfo_endpoint: `${ISSUER}/oauth2/userinfo`,
      jwks_uri: `${ISSUER}/oauth2/jwks`,
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      token_endpoint_auth_methods_supported: ['none'],
      revocation_endpoint_auth_methods_supported: ['none'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      scopes_supported: ['orders.read', 'orders.write'],
    })
  })

  t.test('methods follow the clients that are registered and enabled', async (t) => {
    const basic = registered({
      clientId: 'b',
      authentication: 'client_secret_basic',
      clientSecret: 'x',
      scopes: ['c'],
    })
    const off = registered({
      clientId: 'c',
      authentication: 'client_secret_post',
      enabled: false,
      scopes: ['d'],
    })
    const metadata = authorizationServerMetadata({ ...options, clients: registry(registered(), basic, off) })
    t.same(metadata.token_endpoint_auth_methods_supported, ['none', 'client_secret_basic'])
    t.same(metadata.revocation_endpoint_auth_methods_supported, ['none', 'client_secret_basic'])
    t.same(metadata.scopes_supported, ['orders.read', 'orders.write', 'c'])
  })

  t.test('introspection is there for configured resource servers only (RFC 7662 §2, E-04)', async (t) => {
    const resourceServers = new Map([['rs', { clientId: 'rs', clientSecret: 'x' }]])
    t.match(authorizationServerMetadata({ ...options, resourceServers }), {
      introspection_endpoint: `${ISSUER}/oauth2/introspect`,
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    })
  })
})
