import { decodeJwt, exportJWK, exportPKCS8, generateKeyPair, jwtVerify } from 'jose'
import t from 'tap'
import { ConfigError, type ProviderReason } from '../../../plugin/oauth/errors.ts'
import { readMetadata } from '../../../plugin/provider/endpoints.ts'
import { createRevocation } from '../../../plugin/provider/revocation.ts'
import type { Calls } from '../../../plugin/provider/transport/calls.ts'
import { ConnectError } from '../../../plugin/provider/transport/network.ts'
import {
  CALLBACK,
  EXCHANGE,
  everythingIn,
  exchange,
  ISSUER,
  JSON_TYPE,
  metadata,
  mockProvider,
  OUR_CREDENTIALS,
  REFRESH,
  readyProvider,
  recordingLog,
  refused,
  TOKENS,
} from '../../support/provider-setup.ts'

/** The problems of a ConfigError as `path: problem`. */
async function problemsOf(start: Promise<void>): Promise<string[]> {
  try {
    await start
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((p) => `${p.path.join('.')}: ${p.problem}`)
    throw error
  }
  return []
}

t.test('discovery', async (t) => {
  t.test('metadata of another issuer stops the start (RFC 8414 §3.3, F-01)', async (t) => {
    const { provider, discovery } = mockProvider(t)
    discovery({ ...metadata, issuer: `${ISSUER}/` })
    t.match(await problemsOf(provider.start()), ['provider.issuer: the metadata names another issuer'])
    t.equal(provider.ready, false)
  })

  t.test(
    'where openid-configuration is 404, oauth-authorization-server is asked (RFC 8414 §3, F-01)',
    async (t) => {
      const { provider, as, discovery } = mockProvider(t)
      discovery({}, 404)
      as.intercept({ path: '/.well-known/oauth-authorization-server' }).reply(200, metadata, JSON_TYPE)
      await provider.start()
      t.equal(provider.ready, true)
      t.equal(provider.hasUserinfo, true)
      t.equal(provider.issRequired, false)
    },
  )

  t.test(
    'all that is wrong with the metadata is listed at once (RFC 8414 §6.2, A-16, F-02, F-03)',
    async (t) => {
      const { provider, discovery } = mockProvider(t, {
        allowedHosts: ['keys.example:443', '[::ffff:169.254.169.254]:443'],
      })
      discovery({
        ...metadata,
        code_challenge_methods_supported: ['plain'],
        authorization_endpoint: undefined,
        token_endpoint: 'http://as.example/token',
        revocation_endpoint: 'https://evil.example/revoke',
        userinfo_endpoint: 'https://user@as.example/userinfo',
        pushed_authorization_request_endpoint: `${ISSUER}/par#x`,
        jwks_uri: 'https://[::ffff:169.254.169.254]/',
      })
      t.match(await problemsOf(provider.start()), [
        /^provider\.pkce: is own, but .* does not list S256/,
        /authorization_endpoint is missing/,
        /token_endpoint must be https/,
        /pushed_authorization_request_endpoint must have no fragment/,
        /revocation_endpoint is on another host; .* add evil\.example:443 to provider\.allowedHosts/,
        /userinfo_endpoint must not hold credentials/,
        /jwks_uri is on another host/,
      ])
    },
  )

  t.test('a private address is refused even where its host is allowed (F-03)', async (t) => {
    const { provider, discovery } = mockProvider(t, { allowedHosts: ['169.254.169.254:443'] })
    discovery({ ...metadata, jwks_uri: 'https://169.254.169.254/' })
    t.match(await problemsOf(provider.start()), [/jwks_uri is on a private address/])
  })

  t.test('endpoints on hosts of allowedHosts are used (F-02)', async (t) => {
    const { provider } = await readyProvider(
      t,
      { allowedHosts: ['keys.example:443', 'tokens.example:8443'] },
      {
        jwks_uri: 'https://keys.example/',
        token_endpoint: 'https://tokens.example:8443/token',
      },
    )
    t.equal(provider.ready, true)
  })

  t.test('pkce relay needs S256 in the metadata as well, none does not (A-16)', async (t) => {
    const relay = mockProvider(t, { pkce: 'relay' })
    relay.discovery({ ...metadata, code_challenge_methods_supported: undefined })
    t.match(await problemsOf(relay.provider.start()), [/^provider\.pkce: is relay/])
    const none = await readyProvider(t, { pkce: 'none' }, { code_challenge_methods_supported: undefined })
    t.equal(none.provider.ready, true)
  })

  t.test('metadata that requires PAR must offer it (RFC 9126 §5, A-25)', async (t) => {
    const { provider, discovery } = mockProvider(t)
    discovery({ ...metadata, require_pushed_authorization_requests: true })
    t.match(await problemsOf(provider.start()), [/requires pushed authorization requests/])
  })

  t.test('an answer that is no metadata stops the start (F-01)', async (t) => {
    const { provider, as } = mockProvider(t)
    as.intercept({ path: '/.well-known/openid-configuration' }).reply(200, '<html>', {
      headers: { 'content-type': 'text/html' },
    })
    t.match(await problemsOf(provider.start()), [/there is no usable metadata/])
  })

  t.test('explicit endpoints need no request, and keep to the same rules (F-01, F-02)', async (t) => {
    const explicit = {
      authorizationEndpoint: `${ISSUER}/a`,
      tokenEndpoint: `${ISSUER}/t`,
      jwksUri: `${ISSUER}/j`,
    }
    const { provider } = mockProvider(t, explicit)
    await provider.start()
    t.equal(provider.ready, true)
    t.equal(provider.hasUserinfo, false)
    const wrong = mockProvider(t, {
      ...explicit,
      tokenEndpoint: 'http://as.example/t',
      jwksUri: 'https://other.example/',
    })
    t.match(await problemsOf(wrong.provider.start()), [
      'provider.tokenEndpoint: must be https',
      'provider.jwksUri: is on another host',
    ])
  })

  t.test('a provider that cannot be reached leaves the start alive and is asked again (F-01)', async (t) => {
    const pauses: { ms: number; go: () => void }[] = []
    const { provider, as, discovery, lines } = mockProvider(
      t,
      {},
      {
        sleep: (ms) => new Promise<void>((go) => pauses.push({ ms, go })),
      },
    )
    const settled = () => new Promise((resolve) => setImmediate(resolve))
    as.intercept({ path: '/.well-known/openid-configuration' }).replyWithError(
      new ConnectError('ECONNREFUSED'),
    )
    await provider.start()
    t.equal(provider.ready, false)
    t.match(lines, [{ level: 'error', fields: { cause: 'ECONNREFUSED' }, message: /check provider\.issuer/ }])
    await refused(
      t,
      provider.authorizationUrl({ state: 's', extraScope: [], passThrough: {}, prompt: false }),
      {
        reason: 'provider_not_ready',
        statusCode: 503,
      },
    )

    discovery({ ...metadata, issuer: 'https://evil.example' })
    pauses[0]!.go()
    while (pauses.length < 2) await settled()
    t.equal(provider.ready, false, 'wrong metadata found later does not end the process')
    t.match(lines[1], { level: 'error', fields: { problems: [{ path: ['provider', 'issuer'] }] } })

    discovery()
    pauses[1]!.go()
    while (!provider.ready) await settled()
    t.same(
      pauses.map(({ ms }) => ms),
      [500, 1000],
      'the pauses double',
    )
    t.match(lines[2], { level: 'info', message: 'the provider is ready' })
  })

  t.test('an http issuer is for loopback, or dangerouslyAllowPrivateNetwork (F-01)', async (t) => {
    const refused = mockProvider(t, { issuer: 'http://as.example' })
    t.match(await problemsOf(refused.provider.start()), [/^provider\.issuer: must be https/])
    const endpoints = (issuer: string) => ({
      issuer,
      scope: '',
      authorizationEndpoint: `${issuer}/a`,
      tokenEndpoint: `${issuer}/t`,
    })
    t.same(await problemsOf(mockProvider(t, endpoints('http://127.0.0.1:4000')).provider.start()), [])
    t.same(await problemsOf(mockProvider(t, endpoints('http://[::1]:4000')).provider.start()), [])
    const internal = { ...endpoints('http://as.internal'), dangerouslyAllowPrivateNetwork: true }
    t.same(await problemsOf(mockProvider(t, internal).provider.start()), [])
    const escaping = {
      ...endpoints('http://127.0.0.1:4000'),
      tokenEndpoint: 'http://127.0.0.1:4001/t',
      allowedHosts: ['127.0.0.1:4001'],
    }
    t.match(await problemsOf(mockProvider(t, escaping).provider.start()), [
      /tokenEndpoint: is on a private address/,
    ])
  })

  t.test(
    'NODE_TLS_REJECT_UNAUTHORIZED=0 is refused in production and named elsewhere (RFC 9700 §2.6, F-07)',
    async (t) => {
      const off = { NODE_TLS_REJECT_UNAUTHORIZED: '0' }
      const production = mockProvider(t, {}, { environment: { ...off, NODE_ENV: 'production' } })
      t.match(await problemsOf(production.provider.start()), [/^NODE_TLS_REJECT_UNAUTHORIZED: is 0/])
      const development = mockProvider(t, {}, { environment: off })
      development.discovery()
      await development.provider.start()
      t.match(development.lines[0], { level: 'warn', message: /NODE_TLS_REJECT_UNAUTHORIZED/ })
    },
  )
})

t.test('authorization request', async (t) => {
  const request = {
    state: 'pks_1',
    nonce: 'n1',
    codeChallenge: 'c'.repeat(43),
    extraScope: ['orders', 'openid'],
    passThrough: {},
    prompt: false,
  }

  t.test(
    'metadata, the fixed set and authorizationParams make the URL (RFC 6749 §4.1.1, A-14)',
    async (t) => {
      const { provider } = await readyProvider(
        t,
        { authorizationParams: { audience: 'api' } },
        {
          authorization_endpoint: `${ISSUER}/authorize?tenant=1&tenant=2&state=theirs`,
          authorization_response_iss_parameter_supported: true,
        },
      )
      const url = new URL(await provider.authorizationUrl({ ...request, passThrough: { login_hint: 'a@b' } }))
      t.equal(url.origin + url.pathname, `${ISSUER}/authorize`)
      t.same(
        [...url.searchParams],
        [
          ['tenant', '1'],
          ['tenant', '2'],
          ['response_type', 'code'],
          ['client_id', 'backend'],
          ['redirect_uri', CALLBACK],
          ['scope', 'openid offline_access orders'],
          ['state', 'pks_1'],
          ['nonce', 'n1'],
          ['code_challenge', 'c'.repeat(43)],
          ['code_challenge_method', 'S256'],
          ['audience', 'api'],
          ['login_hint', 'a@b'],
        ],
      )
      t.equal(provider.issRequired, true, 'B-05')
    },
  )

  t.test('a pass-through never replaces or repeats what we set (RFC 9700 §4.5, A-14)', async (t) => {
    const { provider } = await readyProvider(t, { authorizationParams: { audience: 'api' } })
    const passThrough = {
      client_id: 'x',
      nonce: 'y',
      state: 'z',
      audience: 'w',
      code_challenge_method: 'plain',
      max_age: '60',
    }
    const { searchParams } = new URL(await provider.authorizationUrl({ ...request, passThrough }))
    for (const name of Object.keys(passThrough)) t.equal(searchParams.getAll(name).length, 1, name)
    t.match(Object.fromEntries(searchParams), {
      client_id: 'backend',
      nonce: 'n1',
      state: 'pks_1',
      audience: 'api',
      code_challenge_method: 'S256',
      max_age: '60',
    })
  })

  t.test(
    'prompt asks for a step that a human sees, unless one is configured (RFC 8252 §8.6, A-21)',
    async (t) => {
      const { provider } = await readyProvider(t)
      const seen = async (from: typeof provider, passThrough = {}) =>
        new URL(await from.authorizationUrl({ ...request, passThrough, prompt: true })).searchParams.getAll(
          'prompt',
        )
      t.same(await seen(provider), ['consent'])
      t.same(await seen(provider, { prompt: 'login' }), ['consent'])
      const configured = await readyProvider(t, { authorizationParams: { prompt: 'select_account' } })
      t.same(await seen(configured.provider), ['select_account'])
    },
  )

  t.test('without PKCE and OpenID Connect there is no challenge and no nonce (A-14)', async (t) => {
    const { provider } = await readyProvider(t, { pkce: 'none', scope: '' })
    const url = await provider.authorizationUrl({
      state: 's',
      extraScope: [],
      passThrough: {},
      prompt: false,
    })
    t.equal(
      new URL(url).search,
      `?response_type=code&client_id=backend&redirect_uri=${encodeURIComponent(CALLBACK)}&state=s`,
    )
  })

  const PAR = { pushed_authorization_request_endpoint: `${ISSUER}/par` }
  const PUSHED = {
    ...OUR_CREDENTIALS,
    response_type: 'code',
    redirect_uri: CALLBACK,
    scope: 'openid offline_access orders',
    state: 'pks_1',
    nonce: 'n1',
    code_challenge: 'c'.repeat(43),
    code_challenge_method: 'S256',
  }

  t.test('with PAR the URL carries only client_id and request_uri (RFC 9126 §4, A-25)', async (t) => {
    const { provider, post } = await readyProvider(t, {}, PAR)
    post('/par', PUSHED).reply(
      201,
      { request_uri: 'urn:ietf:params:oauth:request_uri:1', expires_in: 60 },
      JSON_TYPE,
    )
    t.equal(
      await provider.authorizationUrl(request),
      `${ISSUER}/authorize?client_id=backend&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A1`,
    )
  })

  t.test('PAR is tried again if nothing was sent, never otherwise (RFC 9110 §9.2.2, F-10)', async (t) => {
    const { provider, post } = await readyProvider(t, {}, PAR)
    post('/par', PUSHED).replyWithError(new ConnectError('ECONNREFUSED'))
    post('/par', PUSHED).replyWithError(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))
    await refused(t, provider.authorizationUrl(request), {
      reason: 'provider_unavailable',
      endpoint: 'par',
      unsent: false,
    })
  })

  t.test('a PAR answer without request_uri is nonsense (RFC 9126 §2.2)', async (t) => {
    const { provider, post } = await readyProvider(t, {}, PAR)
    post('/par', PUSHED).reply(201, { expires_in: 60 }, JSON_TYPE)
    await refused(t, provider.authorizationUrl(request), { reason: 'provider_answer_invalid' })
  })
})

t.test('client authentication', async (t) => {
  t.test('Basic form-encodes id and secret before base64 (RFC 6749 §2.3.1, F-05)', async (t) => {
    const { provider, as } = await readyProvider(t, {
      clientAuthentication: 'client_secret_basic',
      clientId: 'id:1',
      clientSecret: 'a:b%c+d é',
    })
    const { client_id, client_secret, ...body } = EXCHANGE
    as.intercept({
      path: '/token',
      method: 'POST',
      headers: (headers) => {
        const [id, secret] = Buffer.from(headers.authorization!.slice('Basic '.length), 'base64')
          .toString()
          .split(':')
        const decode = (value: string) => new URLSearchParams(`v=${value}`).get('v')
        return decode(id!) === 'id:1' && decode(secret!) === 'a:b%c+d é'
      },
      body: (text) => t.same(Object.fromEntries(new URLSearchParams(text)), body),
    }).reply(200, TOKENS, JSON_TYPE)
    t.match(await provider.exchangeCode(exchange), { accessToken: 'at' })
  })

  t.test('none sends client_id alone (RFC 6749 §3.2.1, F-05)', async (t) => {
    const { provider, post } = await readyProvider(t, { clientAuthentication: 'none' })
    const { client_secret, ...body } = EXCHANGE
    post('/token', body).reply(200, TOKENS, JSON_TYPE)
    await provider.exchangeCode(exchange)
  })

  t.test(
    'private_key_jwt: for the issuer alone, 60 s, never the same twice (RFC 7523 §3, F-05)',
    async (t) => {
      for (const [alg, spelling] of [
        ['ES256', 'jwk'],
        ['EdDSA', 'jwk'],
        ['PS256', 'jwk'],
        ['RS256', 'pem'],
        ['ES384', 'pem'],
        ['EdDSA', 'pem'],
      ] as const) {
        const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
        const text =
          spelling === 'pem'
            ? await exportPKCS8(privateKey)
            : JSON.stringify({ ...(await exportJWK(privateKey)), alg, kid: 'k1' })
        const { provider, as } = await readyProvider(t, {
          clientAuthentication: 'private_key_jwt',
          privateKey: text,
        })
        const assertions: string[] = []
        as.intercept({
          path: '/token',
          method: 'POST',
          headers: (headers) => headers.authorization === undefined,
          body: (text) => {
            const body = new URLSearchParams(text)
            assertions.push(body.get('client_assertion')!)
            return (
              !body.has('client_secret') &&
              body.get('client_assertion_type') === 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
            )
          },
        })
          .reply(200, TOKENS, JSON_TYPE)
          .times(2)
        await provider.exchangeCode(exchange)
        await provider.exchangeCode(exchange)
        const { payload, protectedHeader } = await jwtVerify(assertions.at(-1)!, publicKey)
        t.equal(protectedHeader.alg, alg)
        t.equal(protectedHeader.kid, spelling === 'jwk' ? 'k1' : undefined)
        t.match(payload, { iss: 'backend', sub: 'backend', aud: ISSUER })
        t.ok(payload.exp! - payload.iat! <= 60)
        t.equal(new Set(assertions.map((assertion) => decodeJwt(assertion).jti)).size, 2)
      }
    },
  )

  t.test('a private key that cannot be used stops the start and is not quoted (F-05)', async (t) => {
    const { privateKey } = await generateKeyPair('ES512', { extractable: true })
    const wrong = [
      '{"kty":"s3cret',
      's3cret',
      JSON.stringify(await exportJWK(privateKey)),
      '{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}',
    ]
    for (const text of wrong) {
      const { provider } = mockProvider(t, { clientAuthentication: 'private_key_jwt', privateKey: text })
      const problems = await problemsOf(provider.start())
      t.match(problems, [/^provider\.privateKey: is not a private key/])
      t.notMatch(problems.join(), /s3cret/)
    }
  })

  t.test('a secret that is a function is asked at each call, so that it can rotate (F-06)', async (t) => {
    const secrets = ['one', 'two']
    const { provider, post } = await readyProvider(t, { clientSecret: async () => secrets.shift()! })
    post('/token', { ...EXCHANGE, client_secret: 'one' }).reply(200, TOKENS, JSON_TYPE)
    post('/token', { ...EXCHANGE, client_secret: 'two' }).reply(200, TOKENS, JSON_TYPE)
    await provider.exchangeCode(exchange)
    await provider.exchangeCode(exchange)
  })

  t.test('a private key that is a function can rotate too (F-06)', async (t) => {
    const pairs = [
      await generateKeyPair('ES256', { extractable: true }),
      await generateKeyPair('ES256', { extractable: true }),
    ]
    const texts = await Promise.all(pairs.map(({ privateKey }) => exportPKCS8(privateKey)))
    const { provider, as } = await readyProvider(t, {
      clientAuthentication: 'private_key_jwt',
      privateKey: () => texts.shift()!,
    })
    const assertions: string[] = []
    const body = (text: string) => assertions.push(new URLSearchParams(text).get('client_assertion')!) > 0
    for (const { publicKey } of pairs) {
      as.intercept({ path: '/token', method: 'POST', body }).reply(200, TOKENS, JSON_TYPE)
      await provider.exchangeCode(exchange)
      await t.resolves(jwtVerify(assertions.at(-1)!, publicKey))
    }
  })

  t.test('a secret function that fails is an outage, and its words stay inside (F-06)', async (t) => {
    const { provider } = await readyProvider(t, {
      clientSecret: () => Promise.reject(new Error('vault s3cret')),
    })
    const error = await refused(t, provider.exchangeCode(exchange), {
      reason: 'provider_unavailable',
      unsent: true,
      transient: true,
    })
    t.notMatch(everythingIn(error), /s3cret/)
  })
})

t.test('code exchange', async (t) => {
  t.test(
    'sends the code, our callback URL, the verifier and our credentials (RFC 6749 §4.1.3, C-16)',
    async (t) => {
      const { provider, post } = await readyProvider(t)
      post('/token', EXCHANGE).reply(200, { ...TOKENS, scope: 'a  b' }, JSON_TYPE)
      t.same(await provider.exchangeCode(exchange), {
        accessToken: 'at',
        tokenType: 'Bearer',
        expiresInSeconds: 3600,
        refreshToken: 'rt',
        scope: ['a', 'b'],
      })
    },
  )

  t.test('each failure has its reason, and nothing of the provider is in it (C-17, D-10)', async (t) => {
    const cases: [number, object | string, ProviderReason][] = [
      [400, { error: 'invalid_grant', error_description: 's3cret' }, 'provider_refused_grant'],
      [401, { error: 'invalid_client', error_description: 's3cret' }, 'provider_refused_client'],
      [400, { error: 'unauthorized_client' }, 'provider_refused_client'],
      [400, { error: 's3cret' }, 'provider_refused_client'],
      [400, '<s3cret>', 'provider_refused_client'],
      [400, { error: 'temporarily_unavailable' }, 'provider_unavailable'],
      [500, { error: 'invalid_grant' }, 'provider_unavailable'],
      [429, { error: 's3cret' }, 'provider_unavailable'],
      [200, '{"access_token":', 'provider_answer_invalid'],
      [204, '', 'provider_answer_invalid'],
    ]
    for (const [status, body, reason] of cases) {
      const { provider, post, lines } = await readyProvider(t)
      post('/token', EXCHANGE).reply(status, body, JSON_TYPE)
      const error = await refused(
        t,
        provider.exchangeCode(exchange),
        { reason, endpoint: 'token', unsent: false, transient: reason === 'provider_unavailable' },
        `${status}`,
      )
      t.notMatch(everythingIn(error) + JSON.stringify(lines), /s3cret/)
      t.equal(
        lines.some(({ level }) => level === 'error'),
        reason === 'provider_refused_client',
        'the operator is told',
      )
    }
  })

  t.test('is never retried, not even when nothing was sent (RFC 9110 §9.2.2, C-17, F-10)', async (t) => {
    const { provider, post } = await readyProvider(t)
    post('/token', EXCHANGE).replyWithError(new ConnectError('ECONNREFUSED'))
    await refused(t, provider.exchangeCode(exchange), {
      reason: 'provider_unavailable',
      unsent: true,
      statusCode: 503,
    })
  })

  t.test('answers of real providers are evened out (RFC 6749 §5.1)', async (t) => {
    const answers: [object | string, string, object][] = [
      [
        { ...TOKENS, refresh_token: null, scope: null },
        'application/json',
        { accessToken: 'at', refreshToken: undefined },
      ],
      [{ ...TOKENS, refresh_token: '' }, 'application/json; charset=utf-8', { refreshToken: undefined }],
      [{ access_token: 'at' }, 'application/json', { tokenType: 'Bearer', expiresInSeconds: 300 }],
      [{ ...TOKENS, token_type: 'bearer' }, 'APPLICATION/JSON', { tokenType: 'bearer' }],
      [
        'access_token=at&scope=&token_type=bearer&expires_in=60',
        'application/x-www-form-urlencoded',
        { expiresInSeconds: 60 },
      ],
    ]
    for (const [body, type, expected] of answers) {
      const { provider, post } = await readyProvider(t)
      post('/token', EXCHANGE).reply(200, body, { headers: { 'content-type': type } })
      const tokens = await provider.exchangeCode(exchange)
      for (const [key, value] of Object.entries(expected))
        t.equal(tokens[key as keyof typeof tokens], value, key)
    }
  })

  t.test('a byte order mark before the JSON is no fault', async (t) => {
    const { provider, post } = await readyProvider(t)
    post('/token', EXCHANGE).reply(200, `\ufeff${JSON.stringify(TOKENS)}`, JSON_TYPE)
    t.match(await provider.exchangeCode(exchange), { accessToken: 'at' })
  })

  t.test('we say who we are: there are providers that answer nobody without a name', async (t) => {
    const { provider, as } = await readyProvider(t)
    const headers = { 'user-agent': 'fastify-pkce', accept: 'application/json' }
    as.intercept({ path: '/userinfo', headers }).reply(200, { sub: 'alice' }, JSON_TYPE)
    t.match(await provider.userinfo('at', undefined), { sub: 'alice' })
  })

  t.test('an error under status 200 is an error', async (t) => {
    const { provider, post } = await readyProvider(t)
    post('/token', EXCHANGE).reply(200, { error: 'bad_verification_code' }, JSON_TYPE)
    await refused(t, provider.exchangeCode(exchange), { reason: 'provider_refused_grant' })
    post('/token', EXCHANGE).reply(200, 'error=incorrect_client_credentials', {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    await refused(t, provider.exchangeCode(exchange), { reason: 'provider_refused_client' })
  })

  t.test('nonsense is refused, and tokens in it are revoked (RFC 6749 §5.1, F-15)', async (t) => {
    const revoke = (token: string) => ({ ...OUR_CREDENTIALS, token, token_type_hint: 'refresh_token' })
    const cases: [unknown, Record<string, string> | undefined][] = [
      [[], undefined],
      ['at', undefined],
      [{ token_type: 'Bearer' }, undefined],
      [{ ...TOKENS, access_token: 'a b' }, undefined],
      [{ ...TOKENS, access_token: 'a'.repeat(16_385) }, undefined],
      [{ ...TOKENS, access_token: 5 }, undefined],
      [{ ...TOKENS, token_type: 'mac' }, revoke('rt')],
      [{ ...TOKENS, token_type: 'DPoP' }, revoke('rt')],
      [{ ...TOKENS, scope: ['a'] }, revoke('rt')],
      [{ ...TOKENS, id_token: {} }, revoke('rt')],
      [
        { ...TOKENS, refresh_token: 5 },
        { ...revoke('at'), token_type_hint: 'access_token' },
      ],
    ]
    for (const [body, revoked] of cases) {
      const { provider, post } = await readyProvider(t)
      post('/token', EXCHANGE).reply(200, JSON.stringify(body), JSON_TYPE)
      if (revoked) post('/revoke', revoked).reply(200, '')
      await refused(t, provider.exchangeCode(exchange), {
        reason: 'provider_answer_invalid',
        statusCode: 502,
      })
      await provider.close()
    }
  })

  t.test('a media type other than JSON is refused (F-09)', async (t) => {
    const { provider, post } = await readyProvider(t, {}, { revocation_endpoint: undefined })
    post('/token', EXCHANGE).reply(200, TOKENS, { headers: { 'content-type': 'text/html' } })
    await refused(t, provider.exchangeCode(exchange), { reason: 'provider_answer_invalid' })
  })

  t.test('expires_in of any kind gives a sane life (RFC 6749 §5.1, D-15)', async (t) => {
    const cases: [string, number][] = [
      ['3600', 3600],
      ['"3600"', 3600],
      ['59.9', 59],
      ['1e300', 31_536_000],
      ['1e999', 31_536_000],
      ['-1', 300],
      ['0', 300],
      ['"x"', 300],
      ['{}', 300],
      ['null', 300],
      ['true', 300],
    ]
    const { provider, post } = await readyProvider(t)
    for (const [expiresIn, seconds] of cases) {
      post('/token', EXCHANGE).reply(
        200,
        `{"access_token":"at","refresh_expires_in":0,"expires_in":${expiresIn}}`,
        JSON_TYPE,
      )
      t.equal((await provider.exchangeCode(exchange)).expiresInSeconds, seconds, expiresIn)
    }
  })
})

/** No id_tokens, and so no keys to fetch. */
const withoutOpenId = { scope: 'offline_access' }

t.test('refresh', async (t) => {
  t.test(
    'an answer without refresh_token has none, one with it has the new one (RFC 6749 §6, D-11)',
    async (t) => {
      const { provider, post } = await readyProvider(t, withoutOpenId)
      const { refresh_token, ...without } = TOKENS
      post('/token', REFRESH).reply(200, without, JSON_TYPE)
      t.notOk('refreshToken' in (await provider.refresh({ refreshToken: 'r1' })))
      post('/token', REFRESH).reply(200, TOKENS, JSON_TYPE)
      t.equal((await provider.refresh({ refreshToken: 'r1' })).refreshToken, 'rt')
    },
  )

  t.test('is tried once more only if nothing was sent (RFC 9110 §9.2.2, D-09)', async (t) => {
    const { provider, post } = await readyProvider(t, withoutOpenId)
    post('/token', REFRESH).replyWithError(new ConnectError('ECONNREFUSED'))
    post('/token', REFRESH).reply(200, TOKENS, JSON_TYPE)
    t.match(await provider.refresh({ refreshToken: 'r1' }), { accessToken: 'at' })
    post('/token', REFRESH).replyWithError(new ConnectError('ECONNREFUSED')).times(2)
    await refused(t, provider.refresh({ refreshToken: 'r1' }), {
      reason: 'provider_unavailable',
      unsent: true,
    })
    post('/token', REFRESH).replyWithError(Object.assign(new Error('s'), { code: 'UND_ERR_SOCKET' }))
    await refused(t, provider.refresh({ refreshToken: 'r1' }), {
      reason: 'provider_unavailable',
      unsent: false,
    })
  })

  t.test('invalid_grant is final, 5xx and 429 are not (D-10)', async (t) => {
    const { provider, post } = await readyProvider(t, withoutOpenId)
    post('/token', REFRESH).reply(400, { error: 'invalid_grant' }, JSON_TYPE)
    await refused(t, provider.refresh({ refreshToken: 'r1' }), {
      reason: 'provider_refused_grant',
      transient: false,
    })
    post('/token', REFRESH).reply(503, 'x')
    await refused(t, provider.refresh({ refreshToken: 'r1' }), { transient: true })
    post('/token', REFRESH).reply(429, 'x')
    await refused(t, provider.refresh({ refreshToken: 'r1' }), { transient: true })
  })
})

t.test('userinfo', async (t) => {
  const userinfo = { path: '/userinfo', headers: { authorization: 'Bearer at' } }

  t.test('sub must be the one that is known (OIDC Core §5.3.2, F-17)', async (t) => {
    const { provider, as } = await readyProvider(t)
    as.intercept(userinfo).reply(200, { sub: 'alice', email: 'a@b' }, JSON_TYPE).times(2)
    t.same(await provider.userinfo('at', 'alice'), { sub: 'alice', email: 'a@b' })
    await refused(t, provider.userinfo('at', 'bob'), { reason: 'provider_subject_mismatch', statusCode: 502 })
    as.intercept(userinfo).reply(200, { email: 'a@b' }, JSON_TYPE)
    await refused(t, provider.userinfo('at', undefined), { reason: 'provider_answer_invalid' })
  })

  t.test('is tried once more after a transient failure (F-10)', async (t) => {
    const { provider, as } = await readyProvider(t)
    as.intercept(userinfo).reply(502, 'x')
    as.intercept(userinfo).reply(200, { sub: 'alice' }, JSON_TYPE)
    t.same(await provider.userinfo('at', undefined), { sub: 'alice' })
  })

  t.test('a JWT answer, whose signature nobody has checked, is refused (F-14)', async (t) => {
    const { provider, as } = await readyProvider(t)
    as.intercept(userinfo).reply(200, 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.', {
      headers: { 'content-type': 'application/jwt' },
    })
    await refused(t, provider.userinfo('at', undefined), { reason: 'provider_answer_invalid' })
  })
})

t.test('revocation', async (t) => {
  const revoke = (token: string, token_type_hint: string) => ({ ...OUR_CREDENTIALS, token, token_type_hint })

  t.test(
    'revokes the refresh token if there is one, else the access token (RFC 7009 §2.1, E-03)',
    async (t) => {
      const { provider, post, lines } = await readyProvider(t)
      post('/revoke', revoke('rt', 'refresh_token')).reply(200, '')
      post('/revoke', revoke('at', 'access_token')).reply(204, '')
      provider.revoke({ accessToken: 'at', refreshToken: 'rt' })
      provider.revoke({ accessToken: 'at' })
      await provider.close()
      t.same(
        lines.filter(({ level }) => level === 'warn'),
        [],
      )
    },
  )

  t.test('has three tries, and close waits for them (F-10)', async (t) => {
    const { provider, post } = await readyProvider(t)
    post('/revoke', revoke('rt', 'refresh_token')).reply(500, '').times(2)
    post('/revoke', revoke('rt', 'refresh_token')).reply(200, '')
    provider.revoke({ accessToken: 'at', refreshToken: 'rt' })
    await provider.close()
  })

  t.test('a token that cannot be revoked is logged without the token (E-03)', async (t) => {
    const { provider, post, lines } = await readyProvider(t)
    post('/revoke', revoke('s3cret', 'access_token')).reply(500, '').times(3)
    provider.revoke({ accessToken: 's3cret' })
    await provider.close()
    const [line] = lines.filter(({ level }) => level === 'warn')
    t.match(line, { fields: { cause: 'status 500' }, message: /could not be revoked/ })
    t.notMatch(JSON.stringify(lines), /s3cret/)
  })

  t.test('waiting for them is bounded, and so is their number (K-01)', async (t) => {
    const never = new Promise<never>(() => {})
    const { lines, log } = recordingLog()
    const calls = { post: () => never } as unknown as Calls
    const { revoke, settled } = createRevocation({
      calls,
      metadata: () => readMetadata(metadata),
      pause: async () => {},
      log,
    })
    for (let i = 0; i < 300; i += 1) revoke({ accessToken: 's3cret' })
    t.equal(lines.length, 300 - 256)
    t.notMatch(JSON.stringify(lines), /s3cret/)
    await settled(10)
  })

  t.test('without an endpoint nothing is sent', async (t) => {
    const { provider } = await readyProvider(t, {}, { revocation_endpoint: undefined })
    provider.revoke({ accessToken: 'at', refreshToken: 'rt' })
  })
})

t.test('circuit breaker', async (t) => {
  t.test('five failures in a row open it for its endpoint; one probe closes it (F-12)', async (t) => {
    const { provider, as, post, clock } = await readyProvider(t, withoutOpenId)
    post('/token', REFRESH).reply(500, '').times(5)
    for (let i = 0; i < 5; i += 1)
      await refused(t, provider.refresh({ refreshToken: 'r1' }), { unsent: false })
    await refused(t, provider.refresh({ refreshToken: 'r1' }), {
      reason: 'provider_unavailable',
      unsent: true,
    })

    as.intercept({ path: '/userinfo' }).reply(200, { sub: 'alice' }, JSON_TYPE)
    t.match(await provider.userinfo('at', undefined), { sub: 'alice' }, 'other endpoints are not concerned')

    clock.ms += 5000
    post('/token', REFRESH).reply(500, '')
    const [probe, other] = await Promise.allSettled([
      provider.refresh({ refreshToken: 'r1' }),
      provider.refresh({ refreshToken: 'r1' }),
    ])
    t.match(probe, { reason: { unsent: false } }, 'the probe fails')
    t.match(other, { reason: { unsent: true } }, 'while it is out nobody else goes')

    clock.ms += 5000
    post('/token', REFRESH).reply(200, TOKENS, JSON_TYPE).times(2)
    await provider.refresh({ refreshToken: 'r1' })
    await provider.refresh({ refreshToken: 'r1' })
  })

  t.test('refusals are answers: they do not open it (F-12)', async (t) => {
    const { provider, post } = await readyProvider(t, withoutOpenId)
    post('/token', REFRESH).reply(400, { error: 'invalid_grant' }, JSON_TYPE).times(6)
    for (let i = 0; i < 6; i += 1)
      await refused(t, provider.refresh({ refreshToken: 'r1' }), { reason: 'provider_refused_grant' })
  })

  t.test('no more than 128 calls run at a time (F-12)', async (t) => {
    const { provider, post } = await readyProvider(t, withoutOpenId)
    post('/token', REFRESH).reply(200, TOKENS, JSON_TYPE).delay(50).times(128)
    const results = await Promise.allSettled(
      Array.from({ length: 130 }, () => provider.refresh({ refreshToken: 'r1' })),
    )
    t.equal(results.filter(({ status }) => status === 'fulfilled').length, 128)
    t.match(results.at(-1), { reason: { reason: 'provider_unavailable', unsent: true } })
  })

  t.test('the pause is five seconds also where the clock of the host is set back (F-12)', async (t) => {
    const { provider, post } = await readyProvider(t, withoutOpenId, {}, { now: undefined as never })
    const call = () => provider.refresh({ refreshToken: 'r1' })
    post('/token', REFRESH).reply(500, '').times(5)
    for (let i = 0; i < 5; i += 1) await refused(t, call(), { unsent: false })
    const { now } = performance
    t.intercept(Date, 'now', { value: () => 0 })
    t.intercept(performance, 'now', { value: () => now.call(performance) + 5000 })
    post('/token', REFRESH).reply(200, TOKENS, JSON_TYPE)
    t.match(await call(), { accessToken: 'at' })
  })
})
