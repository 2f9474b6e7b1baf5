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
      await refused(t, provider.redeemCode(exchange), {
        reason: 'provider_answer_invalid',
        statusCode: 502,
      })
      await provider.close()
    }
  })

  t.test('a media type other than JSON is refused (F-09)', async (t) => {
    const { provider, post } = await readyProvider(t, {}, { revocation_endpoint: undefined })
    post('/token', EXCHANGE).reply(200, TOKENS, { headers: { 'content-type': 'text/html' } })
    await refused(t, provider.redeemCode(exchange), { reason: 'provider_answer_invalid' })
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
      t.equal((await provider.redeemCode(exchange)).expiresInSeconds, seconds, expiresIn)
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

  t.test('is tried once more only if nothing was sent (RFC 9110 §9.2.2, D-09)', async (t) => {
    const { provider, post } = await readyProvider(t, withoutOpenId)
    post('/token', REFRESH).replyWithError(createConnectError('ECONNREFUSED'))
    post('/token', REFRESH).reply(200, TOKENS, JSON_TYPE)
    t.match(await provider.refresh({ refreshToken: 'r1' }), { accessToken: 'at' })
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
