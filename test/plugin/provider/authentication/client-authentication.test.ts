import { decodeJwt, exportJWK, exportPKCS8, generateKeyPair, jwtVerify } from 'jose'
import t from 'tap'
import {
  EXCHANGE,
  everythingIn,
  exchange,
  ISSUER,
  JSON_TYPE,
  mockProvider,
  problemsOf,
  readyProvider,
  refused,
  TOKENS,
} from '../../../support/provider-setup.ts'

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
    t.match(await provider.redeemCode(exchange), { accessToken: 'at' })
  })

  t.test('a secret that is rotated in the middle of a request is sent in its place (F-06)', async (t) => {
    const refusal = { error: 'invalid_client' }
    for (const [status, error] of [
      [401, 'invalid_client'],
      [200, 'incorrect_client_credentials'],
      [401, 'access_denied'],
      [401, 'unauthorized_client'],
    ] as const) {
      const both = ['old', 'new']
      const { provider, post } = await readyProvider(t, { clientSecret: () => both.shift()! })
      post('/token', { ...EXCHANGE, client_secret: 'old' }).reply(status, { error }, JSON_TYPE)
      post('/token', { ...EXCHANGE, client_secret: 'new' }).reply(200, TOKENS, JSON_TYPE)
      t.match(await provider.redeemCode(exchange), { accessToken: 'at' }, error)
    }
    const secrets = ['new', 'new']
    const { provider, post } = await readyProvider(t, { clientSecret: () => secrets.shift()! })

    // The same secret again would be refused again, and a code must not be sent twice for nothing.
    post('/token', { ...EXCHANGE, client_secret: 'new' }).reply(401, refusal, JSON_TYPE)
    await refused(t, provider.redeemCode(exchange), { reason: 'provider_refused_client' })
    t.same(secrets, [])
  })

  t.test('none sends client_id alone (RFC 6749 §3.2.1, F-05)', async (t) => {
    const { provider, post } = await readyProvider(t, { clientAuthentication: 'none' })
    const { client_secret, ...body } = EXCHANGE
    post('/token', body).reply(200, TOKENS, JSON_TYPE)
    await provider.redeemCode(exchange)
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
        await provider.redeemCode(exchange)
        await provider.redeemCode(exchange)
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
    await provider.redeemCode(exchange)
    await provider.redeemCode(exchange)
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
      await provider.redeemCode(exchange)
      await t.resolves(jwtVerify(assertions.at(-1)!, publicKey))
    }
  })

  t.test('a secret function that fails is an outage, and its words stay inside (F-06)', async (t) => {
    const { provider } = await readyProvider(t, {
      clientSecret: () => Promise.reject(new Error('vault s3cret')),
    })
    const error = await refused(t, provider.redeemCode(exchange), {
      reason: 'provider_unavailable',
      unsent: true,
      transient: true,
    })
    t.notMatch(everythingIn(error), /s3cret/)
  })
})
