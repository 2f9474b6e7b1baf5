import t from 'tap'
import type { ProviderReason } from '../../../plugin/oauth/errors.ts'
import { createConnectError } from '../../../plugin/provider/transport/network.ts'
import {
  EXCHANGE,
  everythingIn,
  exchange,
  JSON_TYPE,
  OUR_CREDENTIALS,
  REFRESH,
  readyProvider,
  refused,
  TOKENS,
  withoutOpenId,
} from '../../support/provider-setup.ts'

t.test('code exchange', async (t) => {
  t.test(
    'sends the code, our callback URL, the verifier and our credentials (RFC 6749 §4.1.3, C-16)',
    async (t) => {
      const { provider, post } = await readyProvider(t)
      post('/token', EXCHANGE).reply(200, { ...TOKENS, scope: 'a  b' }, JSON_TYPE)
      t.same(await provider.redeemCode(exchange), {
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
      [400, { error: 's3cret!' }, 'provider_refused_client'],
      [400, '<s3cret>', 'provider_refused_client'],
      [400, { error: 'temporarily_unavailable' }, 'provider_unavailable'],
      [500, { error: 'invalid_grant' }, 'provider_unavailable'],
      [429, { error: 's3cret!' }, 'provider_unavailable'],
      [200, '{"access_token":', 'provider_answer_invalid'],
      [204, '', 'provider_answer_invalid'],
    ]
    for (const [status, body, reason] of cases) {
      const { provider, post, lines } = await readyProvider(t)
      post('/token', EXCHANGE).reply(status, body, JSON_TYPE)
      const error = await refused(
        t,
        provider.redeemCode(exchange),
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
    post('/token', EXCHANGE).replyWithError(createConnectError('ECONNREFUSED'))
    await refused(t, provider.redeemCode(exchange), {
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
      [{ access_token: 'at' }, 'application/json', { tokenType: 'Bearer', expiresInSeconds: 31_536_000 }],
      [{ ...TOKENS, token_type: 'bearer' }, 'APPLICATION/JSON', { tokenType: 'bearer' }],
      [
        'access_token=at&scope=&token_type=bearer&expires_in=60',
        'application/x-www-form-urlencoded',
        { expiresInSeconds: 60 },
      ],
      ['access_token=at&expires_in=60', 'text/plain', { expiresInSeconds: 60 }],
      [
        { ...TOKENS, token_type: null, expires_in: '60', id_token: null },
        'text/html',
        { expiresInSeconds: 60 },
      ],
    ]
    for (const [body, type, expected] of answers) {
      const { provider, post } = await readyProvider(t)
      post('/token', EXCHANGE).reply(200, body, { headers: { 'content-type': type } })
      const tokens = await provider.redeemCode(exchange)
      for (const [key, value] of Object.entries(expected))
        t.equal(tokens[key as keyof typeof tokens], value, key)
    }
  })

  t.test('a byte order mark before the JSON is no fault', async (t) => {
    const { provider, post } = await readyProvider(t)
    post('/token', EXCHANGE).reply(200, `\ufeff${JSON.stringify(TOKENS)}`, JSON_TYPE)
    t.match(await provider.redeemCode(exchange), { accessToken: 'at' })
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
    await refused(t, provider.redeemCode(exchange), { reason: 'provider_refused_grant' })
    post('/token', EXCHANGE).reply(200, 'error=incorrect_client_credentials', {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    await refused(t, provider.redeemCode(exchange), { reason: 'provider_refused_client' })
  })

  t.test("an error that is an object gives its numbers, as Facebook's (C-17)", async (t) => {
    const numbers: [object, string][] = [
      [{ code: 100, error_subcode: 36_009, message: 's3cret' }, 'status 400, error 100 36009'],
      [{ code: 1, message: 's3cret' }, 'status 400, error 1'],
      [{ code: ['s3cret'], error_subcode: 7 }, 'status 400, error 7'],
      [[], 'status 400, error without a code'],
    ]
    for (const [error, cause] of numbers) {
      const { provider, post, lines } = await readyProvider(t)
      post('/token', EXCHANGE).reply(400, { error }, JSON_TYPE)
      const refusal = await refused(t, provider.redeemCode(exchange), { reason: 'provider_refused_client' })
      t.equal((refusal as Error & { cause: Error }).cause.message, cause)
      t.notMatch(everythingIn(refusal) + JSON.stringify(lines), /s3cret/)
    }
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
      [{ ...TOKENS, scope: [['a']] }, revoke('rt')],
      [{ ...TOKENS, scope: [{}] }, revoke('rt')],
      [{ ...TOKENS, scope: {} }, revoke('rt')],
      [{ ...TOKENS, scope: true }, revoke('rt')],
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
      await refused(t, provider.redeemCode(exchange), {
        reason: 'provider_answer_invalid',
        statusCode: 502,
      })
      await provider.close()
    }
  })

  t.test('JSON is read under whatever text type labels it, or none (F-09)', async (t) => {
    const { provider, post } = await readyProvider(t)
    for (const type of [
      'application/json;charset=utf-8',
      'application/token+json',
      'text/html; charset=utf-8',
      'text/plain',
      'text/javascript',
      'application/octet-stream',
      'application/x-www-form-urlencoded',
      '',
    ]) {
      post('/token', EXCHANGE).reply(200, JSON.stringify(TOKENS), {
        headers: type === '' ? {} : { 'content-type': type },
      })
      t.match(await provider.redeemCode(exchange), { accessToken: 'at', expiresInSeconds: 3600 }, type)
    }
  })

  t.test('what is no text is not read as JSON, nor a page as a form (F-09)', async (t) => {
    const { provider, post } = await readyProvider(t)
    const rows: [body: string, type: string][] = [
      [JSON.stringify(TOKENS), 'image/png'],
      [JSON.stringify(TOKENS), 'application/jwt'],
      ['access_token=at', 'application/xml'],
      ['<a href=x?access_token=at>', 'text/html'],
      ['access_token=at\nand more', 'text/plain'],
    ]
    for (const [body, type] of rows) {
      post('/token', EXCHANGE).reply(200, body, { headers: { 'content-type': type } })
      await refused(t, provider.redeemCode(exchange), { reason: 'provider_answer_invalid' }, type)
    }
  })

  t.test('scope may be a list, with numbers and nulls in it (RFC 6749 §3.3, F-15)', async (t) => {
    const { provider, post } = await readyProvider(t)
    const rows: [scope: unknown, expected: string[] | undefined][] = [
      [
        ['a', 'b'],
        ['a', 'b'],
      ],
      [
        ['a b', null, 7],
        ['a', 'b', '7'],
      ],
      [7, ['7']],
      [[], []],
      [null, undefined],
      ['', undefined],
    ]
    for (const [scope, expected] of rows) {
      post('/token', EXCHANGE).reply(200, { ...TOKENS, scope }, JSON_TYPE)
      t.same((await provider.redeemCode(exchange)).scope, expected, JSON.stringify(scope))
    }
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
        `{"access_token":"at","refresh_token":"rt","refresh_expires_in":0,"expires_in":${expiresIn}}`,
        JSON_TYPE,
      )
      t.equal((await provider.redeemCode(exchange)).expiresInSeconds, seconds, expiresIn)
    }
  })

  t.test('a missing expires_in: defaultTokenSeconds, or by whether it can be renewed (D-15)', async (t) => {
    for (const [defaultTokenSeconds, renewable, seconds] of [
      [undefined, true, 300],
      [undefined, false, 31_536_000],
      [28_800, true, 28_800],
      [28_800, false, 28_800],
      ['never', true, 31_536_000],
    ] as const) {
      const { provider, post } = await readyProvider(t, defaultTokenSeconds && { defaultTokenSeconds })
      post('/token', EXCHANGE).reply(
        200,
        { access_token: 'at', ...(renewable && { refresh_token: 'rt' }) },
        JSON_TYPE,
      )
      t.equal((await provider.redeemCode(exchange)).expiresInSeconds, seconds)
    }
  })

  t.test('no refresh token: told once, with what ends when and what asks for one (D-15)', async (t) => {
    const without = { access_token: 'at', token_type: 'Bearer', expires_in: 28_800 }
    for (const [options, words] of [
      [{ scope: 'openid offline_access' }, 'although offline access was asked for: such sessions end'],
      [{ authorizationParams: { access_type: 'offline' } }, 'although offline access was asked for: such'],
      [{ scope: 'openid' }, 'no refresh token: such sessions end with its access token, after 28800 s'],
    ] as const) {
      const { provider, post, lines } = await readyProvider(t, options)
      for (const answer of [without, without, TOKENS]) {
        post('/token', EXCHANGE).reply(200, answer, JSON_TYPE)
        await provider.redeemCode(exchange)
      }
      const told = lines.filter(({ level, message }) => level === 'warn' && /refresh token/.test(message))
      t.equal(told.length, 1)
      t.match(told[0]!.message, words)
      t.match(told[0]!.message, /offline_access.*access_type=offline and prompt=consent/)
    }
  })
})

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

  t.test('a refresh token comes out of an answer that is of no other use (D-11, F-15)', async (t) => {
    for (const [member, given] of Object.entries({ access_token: '', token_type: 'mac', scope: {} })) {
      const { provider, post } = await readyProvider(t, withoutOpenId)
      post('/token', REFRESH).reply(200, { ...TOKENS, [member]: given }, JSON_TYPE)
      t.match(await provider.refresh({ refreshToken: 'r1' }), {
        refreshToken: 'rt',
        tokens: { reason: 'provider_answer_invalid', cause: { message: member } },
      })
    }
  })

  t.test('is tried once more only if nothing was sent (RFC 9110 §9.2.2, D-09)', async (t) => {
    const { provider, post } = await readyProvider(t, withoutOpenId)
    post('/token', REFRESH).replyWithError(createConnectError('ECONNREFUSED'))
    post('/token', REFRESH).reply(200, TOKENS, JSON_TYPE)
    t.match(await provider.refresh({ refreshToken: 'r1' }), { tokens: { accessToken: 'at' } })
    post('/token', REFRESH).replyWithError(createConnectError('ECONNREFUSED')).times(2)
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

t.test('a refused refresh token is told from a refused client (RFC 6749 §5.2, D-10)', async (t) => {
  const form = 'application/x-www-form-urlencoded'
  const rows: [status: number, body: object | string, type: string | undefined, ProviderReason][] = [
    [400, { error: 'invalid_grant' }, 'text/plain; charset=utf-8', 'provider_refused_grant'],
    [400, '{"error":"invalid_grant"}', 'text/html', 'provider_refused_grant'],
    [400, 'error=invalid_grant&error_description=x', form, 'provider_refused_grant'],
    [400, 'error=expired', 'text/plain', 'provider_refused_grant'],
    [400, { error: 'invalid_request' }, 'application/json', 'provider_refused_grant'],
    [400, { error: 'invalid_token' }, 'application/json', 'provider_refused_grant'],
    [400, { error: 'a_word_of_its_own' }, 'application/json', 'provider_refused_grant'],
    [403, { error: 'access_denied' }, 'application/json', 'provider_refused_grant'],
    [400, { error: { code: 190, message: 'x' } }, 'application/json', 'provider_refused_grant'],
    [401, { error: 'invalid_token' }, 'application/json', 'provider_refused_grant'],
    [401, { error: 'invalid_grant' }, 'application/json', 'provider_refused_grant'],
    [200, { error: 'bad_refresh_token' }, 'application/json', 'provider_refused_grant'],
    [200, 'error=bad_refresh_token', form, 'provider_refused_grant'],
    [200, { ok: false, error: 'invalid_refresh_token' }, 'application/json', 'provider_refused_grant'],

    [401, { error: 'invalid_client' }, 'application/json', 'provider_refused_client'],
    [400, { error: 'invalid_client' }, 'text/plain', 'provider_refused_client'],
    [400, { error: 'unauthorized_client' }, 'application/json', 'provider_refused_client'],
    [400, { error: 'invalid_scope' }, 'application/json', 'provider_refused_client'],
    [401, { error: 'access_denied' }, 'application/json', 'provider_refused_client'],
    [401, '', undefined, 'provider_refused_client'],
    [200, { error: 'incorrect_client_credentials' }, 'application/json', 'provider_refused_client'],
    [200, { ok: false, error: 'fatal_error' }, 'application/json', 'provider_refused_client'],
    [403, '<html>blocked by a firewall', 'text/html', 'provider_refused_client'],
    [404, { message: 'no route' }, 'application/json', 'provider_refused_client'],
    [400, '<html>a proxy', 'text/html', 'provider_refused_client'],
    [400, { message: 'x' }, 'application/json', 'provider_refused_client'],
    [400, '', undefined, 'provider_refused_client'],
    [400, 'token revoked', 'text/plain', 'provider_refused_client'],

    [400, { error: 'temporarily_unavailable' }, 'application/json', 'provider_unavailable'],
    [400, { error: 'slow_down' }, 'application/json', 'provider_unavailable'],
    [408, { error: 'invalid_grant' }, 'application/json', 'provider_unavailable'],
    [429, { error: 'invalid_grant' }, 'application/json', 'provider_unavailable'],
    [503, { error: 'invalid_grant' }, 'application/json', 'provider_unavailable'],
  ]
  for (const [status, body, type, reason] of rows) {
    const title = `${status} ${JSON.stringify(body)} as ${type} -> ${reason}`
    t.test(title, async (t) => {
      const { provider, post, lines } = await readyProvider(t, withoutOpenId)
      post('/token', REFRESH).reply(
        status,
        body,
        type === undefined ? {} : { headers: { 'content-type': type } },
      )
      await refused(t, provider.refresh({ refreshToken: 'r1' }), { reason, endpoint: 'token' })
      const told = lines.some(({ level }) => level === 'error')
      t.equal(told, reason === 'provider_refused_client', 'the operator is told')
    })
  }
})
