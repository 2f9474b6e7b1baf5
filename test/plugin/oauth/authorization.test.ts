import t from 'tap'
import { requireClient, validateAuthorizationRequest } from '../../../plugin/oauth/authorization.ts'
import type { RegisteredClient } from '../../../plugin/oauth/client.ts'
import type { Reason } from '../../../plugin/oauth/errors.ts'
import { CHALLENGE, reasonOf, refusal, registered, registry } from '../../support/oauth-fixtures.ts'

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
  const validate = (
    changes: Record<string, string> = {},
    client: Partial<RegisteredClient> = {},
    extra = '',
  ) => {
    const request = { ...valid, ...changes }
    return validateAuthorizationRequest(
      new URLSearchParams(request).toString() + extra,
      requireClient(registry(registered(client)).get(request.client_id)),
      { publicUrl: 'https://api.example.com', resources: [] },
    )
  }

  t.test('a valid request becomes a verified one', async (t) => {
    t.same(validate({ foo: '1', nonce: 'n', resource: 'r' }), {
      client: registered(),
      redirectUri,
      codeChallenge: CHALLENGE,
      state: 'a%26b=1',
      scope: ['orders.read', 'orders.write'],
      providerScope: ['orders.read'],
      passThrough: {},
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
      t.equal(error.redirectTo, undefined)
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
      t.match(error, { reason, error: wire })
      t.match(error.redirectTo, { redirectUri, state: 'a%26b=1' })
    })
  }

  for (const state of ['ü', 'a\u00a0b', `${'a'.repeat(600)}€`]) {
    t.test(
      `a state of ${state.length} characters, one of them outside ASCII, is refused and not echoed (A-12)`,
      async (t) => {
        const error = refusal(() => validate({ state }))
        t.equal(error.reason, 'state_malformed')
        t.ok(error.redirectTo)
        t.equal(error.redirectTo?.state, undefined)
        const earlier = refusal(() => validate({ state, response_type: 'token' }))
        t.ok(earlier.redirectTo)
        t.equal(earlier.redirectTo?.state, undefined)
      },
    )
  }

  t.test('a state has no limit but the URL’s, refusals included (RFC 6749 A.5, A-12)', async (t) => {
    const state = ` ~${'+/='.repeat(2000)}`
    t.equal(validate({ state }).state, state)
    for (const changes of [{ response_type: 'token' }, { code_challenge: '' }, { scope: 'admin' }]) {
      t.equal(refusal(() => validate({ state, ...changes })).redirectTo?.state, state)
    }
  })

  const ignored = [
    '&resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb',
    '&foo=1&foo=2',
    '&foo=100%&f%FCr=1&%zz=1',
    '&login_hint=f%FCr&login_hint=x&max_age=&max_age=',
  ]
  for (const extra of ignored) {
    t.test(`what this client’s request does not need is ignored: ${extra} (RFC 8707 §2, A-10)`, async (t) => {
      t.equal(validate({}, {}, extra).state, valid.state)
    })
  }

  const read: [string, Reason, Partial<RegisteredClient>?][] = [
    ['&%63lient_id=other', 'parameter_repeated'],
    ['&state=', 'parameter_repeated'],
    ['&claims=&claims=', 'parameter_repeated'],
    ['&scope=f%FCr', 'form_malformed'],
    ['&prompt=%zz', 'form_malformed'],
    ['&login_hint=a&login_hint=b', 'parameter_repeated', { passThrough: ['login_hint'] }],
    ['&login_hint=f%FCr', 'form_malformed', { passThrough: ['login_hint'] }],
  ]
  for (const [extra, reason, client] of read) {
    t.test(`what is read must be well formed and there once: ${extra} (RFC 6749 §3.1, A-10)`, async (t) => {
      const error = refusal(() => validate({}, client, extra))
      t.match(error, { reason, statusCode: 400 })
      t.equal(error.redirectTo, undefined, 'told here')
    })
  }

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
    t.same(validate(sent, { passThrough: ['login_hint'] }).passThrough, { login_hint: 'ü@a.ex' })
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
