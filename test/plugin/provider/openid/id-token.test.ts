import { createHash } from 'node:crypto'
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  importJWK,
  type JWTHeaderParameters,
  SignJWT,
} from 'jose'
import t from 'tap'
import {
  EXCHANGE,
  exchange,
  ISSUER,
  JSON_TYPE,
  OUR_CREDENTIALS,
  REFRESH,
  readyProvider,
  refused,
  TOKENS,
} from '../../../support/provider-setup.ts'

const rsa = await generateKeyPair('RS256', { extractable: true })
const ec = await generateKeyPair('ES384')
const ed = await generateKeyPair('EdDSA')
const stranger = await generateKeyPair('RS256', { extractable: true })
const rsaJwk = { ...(await exportJWK(rsa.publicKey)), kid: 'rsa', use: 'sig', alg: 'RS256' }
const keys = [
  rsaJwk,
  { ...(await exportJWK(ec.publicKey)), kid: 'ec' },
  { ...(await exportJWK(ed.publicKey)), kid: 'ed' },
  { ...(await exportJWK(stranger.publicKey)), kid: 'encryption', use: 'enc' },
]
const REVOKE = { ...OUR_CREDENTIALS, token: 'rt', token_type_hint: 'refresh_token' }
const leftHalf = (hash: string, value: string) => {
  const digest = createHash(hash).update(value).digest()
  return digest.subarray(0, digest.length / 2).toString('base64url')
}

type Mock = Awaited<ReturnType<typeof readyProvider>>

function claimsAt(ms: number) {
  const now = Math.floor(ms / 1000)
  return { iss: ISSUER, sub: 'alice', aud: 'backend', exp: now + 300, iat: now, nonce: 'n1' }
}

function sign(
  claims: object,
  key: CryptoKey | Uint8Array = rsa.privateKey,
  header: Partial<JWTHeaderParameters> = {},
) {
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: 'RS256', kid: 'rsa', ...header }).sign(key)
}

const serveKeys = ({ as }: Mock, body: object = { keys }) =>
  as.intercept({ path: '/jwks' }).reply(200, body, JSON_TYPE)

function answerWith({ post }: Mock, id_token: string, request: Record<string, string> = EXCHANGE) {
  post('/token', request).reply(200, { ...TOKENS, id_token }, JSON_TYPE)
}

t.test('id_token', async (t) => {
  t.test('a right one gives its claims (OIDC Core §3.1.3.7, F-14)', async (t) => {
    const mock = await readyProvider(t)
    serveKeys(mock)
    const claims = claimsAt(mock.clock.ms)
    const now = claims.iat
    const right: [object, CryptoKey?, Partial<JWTHeaderParameters>?][] = [
      [claims],
      [{ ...claims, aud: ['backend'], azp: 'backend' }],
      [{ ...claims, at_hash: leftHalf('sha256', 'at') }],
      [{ ...claims, at_hash: leftHalf('sha384', 'at') }, ec.privateKey, { alg: 'ES384', kid: 'ec' }],
      [{ ...claims, at_hash: leftHalf('sha512', 'at') }, ed.privateKey, { alg: 'EdDSA', kid: 'ed' }],
      [{ ...claims, exp: now - 59, iat: now + 60, nbf: now + 60 }],
      [{ ...claims, aud: ['backend', 'project', 'sibling'], azp: 'backend' }],
    ]
    for (const [expected, key, header] of right) {
      answerWith(mock, await sign(expected, key, header))
      const { claims } = await mock.provider.redeemCode({ ...exchange, nonce: 'n1' })
      t.same(claims, expected)
    }
  })

  t.test(
    'each wrong one is refused and its tokens are revoked (OIDC Core §3.1.3.7, RFC 8725 §3, F-14, F-15)',
    async (t) => {
      const claims = claimsAt(Date.now())
      const { nonce, ...noNonce } = claims
      const { sub, ...noSub } = claims
      const { iat, ...noIat } = claims
      const { exp, ...noExp } = claims
      const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const publicPem = new TextEncoder().encode(await exportSPKI(rsa.publicKey))
      const rs384 = (await importJWK(await exportJWK(rsa.privateKey), 'RS384')) as CryptoKey
      const good = await sign(claims)
      const [head, , signature] = good.split('.')
      const wrong: [title: string, cause: string, idToken: string][] = [
        ['alg none', 'ERR_JOSE_ALG_NOT_ALLOWED', `${encode({ alg: 'none' })}.${encode(claims)}.`],
        [
          'HS256 keyed with the public key',
          'ERR_JOSE_ALG_NOT_ALLOWED',
          await sign(claims, publicPem, { alg: 'HS256' }),
        ],
        [
          'signed by another key',
          'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
          await sign(claims, stranger.privateKey),
        ],
        [
          'signed by an embedded key',
          'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
          await sign(claims, stranger.privateKey, {
            jwk: await exportJWK(stranger.publicKey),
            jku: 'https://evil.example/',
          }),
        ],
        [
          'signed by a key for encryption',
          'ERR_JWKS_NO_MATCHING_KEY',
          await sign(claims, stranger.privateKey, { kid: 'encryption' }),
        ],
        [
          'another algorithm than the key is for',
          'ERR_JWKS_NO_MATCHING_KEY',
          await sign(claims, rs384, { alg: 'RS384' }),
        ],
        [
          'changed claims',
          'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
          `${head}.${encode({ ...claims, sub: 'mallory' })}.${signature}`,
        ],
        ['unknown kid', 'ERR_JWKS_NO_MATCHING_KEY', await sign(claims, rsa.privateKey, { kid: 'x' })],
        ['unknown crit', 'ERR_JOSE_NOT_SUPPORTED', await signRaw(claims, { crit: ['x'], x: true })],
        ['another issuer', 'iss', await sign({ ...claims, iss: `${ISSUER}/` })],
        ['another audience', 'aud', await sign({ ...claims, aud: 'other' })],
        ['an audience besides us', 'aud', await sign({ ...claims, aud: ['backend', 'other'] })],
        [
          'an audience besides us, without us',
          'aud: does not name our client_id',
          await sign({ ...claims, aud: ['other'], azp: 'backend' }),
        ],
        [
          'an audience besides us, with another azp',
          'azp',
          await sign({ ...claims, aud: ['backend', 'other'], azp: 'other' }),
        ],
        ['no audience', 'aud', await sign({ ...claims, aud: undefined })],
        ['no issuer', 'iss', await sign({ ...claims, iss: undefined })],
        ['another authorized party', 'azp', await sign({ ...claims, azp: 'other' })],
        ['another nonce', 'nonce', await sign({ ...claims, nonce: 'n2' })],
        ['no nonce', 'nonce', await sign(noNonce)],
        ['expired', 'exp: expired', await sign({ ...claims, exp: claims.iat - 61 })],
        ['no exp', 'exp: is missing', await sign(noExp)],
        ['an exp that is text', 'exp: is not a number', await signRaw({ ...claims, exp: `${claims.exp}` })],
        ['from the future', 'iat: issued', await sign({ ...claims, iat: claims.iat + 120 })],
        ['not yet valid', 'nbf: not valid before', await sign({ ...claims, nbf: claims.iat + 120 })],
        ['no iat', 'iat: is missing', await sign(noIat)],
        ['an iat that is null', 'iat: is missing', await signRaw({ ...claims, iat: null })],
        ['a nonce that is null', 'nonce', await signRaw({ ...claims, nonce: null })],
        ['claims that are a list', 'ERR_JWT_INVALID', await signRaw([claims])],
        ['no sub', 'sub', await sign(noSub)],
        ['an empty sub', 'sub', await sign({ ...claims, sub: '' })],
        ['a sub that is a number', 'sub', await signRaw({ ...claims, sub: 5 })],
        ['wrong at_hash', 'at_hash', await sign({ ...claims, at_hash: leftHalf('sha256', 'other') })],
        ['encrypted', 'ERR_JWS_INVALID', 'a.b.c.d.e'],
        ['no JWT', 'ERR_JWS_INVALID', 'x'],
      ]
      const mock = await readyProvider(t)
      serveKeys(mock)
      answerWith(mock, good)
      await mock.provider.redeemCode({ ...exchange, nonce: 'n1' })
      for (const [title, cause, idToken] of wrong) {
        if (title === 'unknown kid') {
          // Asked for again, and still not there.
          mock.clock.ms += 1000
          serveKeys(mock)
        }
        answerWith(mock, idToken)
        mock.post('/revoke', REVOKE).reply(200, '')
        const error = await refused(
          t,
          mock.provider.redeemCode({ ...exchange, nonce: 'n1' }),
          { reason: 'provider_id_token_invalid', statusCode: 502 },
          title,
        )
        t.match(error, { cause: { message: cause } }, `${title}: for this reason and no other`)
      }
    },
  )

  t.test('null counts as absent (F-14, F-15)', async (t) => {
    const mock = await readyProvider(t)
    serveKeys(mock)
    const claims = claimsAt(mock.clock.ms)
    answerWith(mock, await signRaw({ ...claims, at_hash: null, azp: null, nbf: null, email: null }))
    const tokens = await mock.provider.redeemCode({ ...exchange, nonce: 'n1' })
    t.same(tokens.claims, claims)
  })

  t.test('audiences besides us are those of trustedAudiences (OIDC Core §3.1.3.7, F-14)', async (t) => {
    const mock = await readyProvider(t, { trustedAudiences: ['project', 'sibling'] })
    serveKeys(mock)
    const claims = { ...claimsAt(mock.clock.ms), aud: ['project', 'backend', 'sibling'] }
    answerWith(mock, await sign(claims))
    t.match(await mock.provider.redeemCode({ ...exchange, nonce: 'n1' }), { claims })

    mock.post('/revoke', REVOKE).reply(200, '').times(2)
    for (const [aud, cause] of [
      [['backend', 'project', 'other'], /^aud: names others .* check provider\.trustedAudiences/],
      [['project'], /^aud: does not name our client_id/],
    ] as const) {
      answerWith(mock, await sign({ ...claims, aud }))
      const error = await refused(t, mock.provider.redeemCode({ ...exchange, nonce: 'n1' }), {
        reason: 'provider_id_token_invalid',
      })
      t.match(error, { cause: { message: cause } })
    }
  })

  t.test('clocks may differ by clockToleranceSeconds; more is said in words (F-14)', async (t) => {
    const mock = await readyProvider(t, { clockToleranceSeconds: 5 })
    serveKeys(mock)
    const claims = claimsAt(mock.clock.ms)
    const now = claims.iat
    answerWith(mock, await sign({ ...claims, exp: now - 4, nbf: now + 5, iat: now + 5 }))
    t.match(await mock.provider.redeemCode({ ...exchange, nonce: 'n1' }), { claims: { sub: 'alice' } })

    mock.post('/revoke', REVOKE).reply(200, '').times(3)
    for (const [wrong, message] of [
      [{ exp: now - 5 }, 'exp: expired 5 s ago: check the clocks'],
      [{ nbf: now + 6 }, 'nbf: not valid before 6 s from now: check the clocks'],
      [{ iat: now + 120 }, 'iat: issued 120 s in the future: check the clocks'],
    ] as const) {
      answerWith(mock, await sign({ ...claims, ...wrong }))
      const error = await refused(t, mock.provider.redeemCode({ ...exchange, nonce: 'n1' }), {
        reason: 'provider_id_token_invalid',
      })
      t.match(error, { cause: { message } })
    }
  })

  t.test('is required where it was asked for (OIDC Core §3.1.3.3, F-14)', async (t) => {
    const { provider, post } = await readyProvider(t)
    post('/token', EXCHANGE).reply(200, TOKENS, JSON_TYPE)
    post('/revoke', REVOKE).reply(200, '')
    await refused(t, provider.redeemCode({ ...exchange, nonce: 'n1' }), {
      reason: 'provider_id_token_invalid',
    })
  })

  t.test('a nonce that nobody sent is refused (OIDC Core §3.1.3.7 rule 11, F-14)', async (t) => {
    const mock = await readyProvider(t)
    serveKeys(mock)
    answerWith(mock, await sign(claimsAt(mock.clock.ms)))
    mock.post('/revoke', REVOKE).reply(200, '')
    await refused(t, mock.provider.redeemCode(exchange), { reason: 'provider_id_token_invalid' })
  })

  t.test('auth_time is checked when max_age was sent (OIDC Core §3.1.2.1, F-14)', async (t) => {
    const mock = await readyProvider(t)
    serveKeys(mock)
    const claims = claimsAt(mock.clock.ms)
    const withMaxAge = (auth_time: unknown) =>
      sign({ ...claims, auth_time }).then((token) => {
        answerWith(mock, token)
        return mock.provider.redeemCode({ ...exchange, nonce: 'n1', maxAge: 100 })
      })
    t.match(await withMaxAge(claims.iat - 150), { claims: { sub: 'alice' } }, '100 s and the skew')
    mock.post('/revoke', REVOKE).reply(200, '').times(3)
    await refused(t, withMaxAge(claims.iat - 161), { reason: 'provider_id_token_invalid' })
    await refused(t, withMaxAge(undefined), { reason: 'provider_id_token_invalid' })
    await refused(t, withMaxAge(`${claims.iat}`), { reason: 'provider_id_token_invalid' })
  })

  t.test('acr is one of those that were asked for (OIDC Core §3.1.3.7 (12), F-14)', async (t) => {
    const mock = await readyProvider(t)
    serveKeys(mock)
    const withAcr = async (acr: unknown, acrValues = 'urn:mfa phr') => {
      answerWith(mock, await sign({ ...claimsAt(mock.clock.ms), acr }))
      return mock.provider.redeemCode({ ...exchange, nonce: 'n1', acrValues })
    }
    t.match(await withAcr('phr'), { claims: { acr: 'phr' } })
    t.match(await withAcr('urn:mfa'), { claims: { acr: 'urn:mfa' } })
    const wrong = ['0', 'urn:mfa phr', '', ['phr'], undefined, null]
    mock
      .post('/revoke', REVOKE)
      .reply(200, '')
      .times(wrong.length + 1)
    for (const acr of wrong) {
      const error = await refused(t, withAcr(acr), { reason: 'provider_id_token_invalid' })
      t.match(error, { cause: { message: 'acr: is none of those that were asked for (acr_values)' } })
    }
    mock.post('/token', EXCHANGE).reply(200, TOKENS, JSON_TYPE)
    const without = mock.provider.redeemCode({ ...exchange, acrValues: 'phr' })
    const error = await refused(t, without, { reason: 'provider_id_token_invalid' }, 'no id_token at all')
    t.match(error, { cause: { message: /take openid out of provider\.scope$/ } })
  })

  t.test('idToken: ignore -> whatever it says is not read, and none is asked for (F-17, M-01)', async (t) => {
    const mock = await readyProvider(t, { idToken: 'ignore' })
    mock.post('/token', EXCHANGE).reply(200, { ...TOKENS, id_token: 'nonsense' }, JSON_TYPE)
    t.notHas(await mock.provider.redeemCode(exchange), { claims: {} })
    mock.post('/token', REFRESH).reply(200, { ...TOKENS, id_token: 'nonsense' }, JSON_TYPE)
    t.notHas(await mock.provider.refresh({ refreshToken: 'r1', subject: 'alice' }), { idToken: 'nonsense' })
    const id_token = await sign({ ...claimsAt(mock.clock.ms), auth_time: 1 })
    mock.post('/token', EXCHANGE).reply(200, { ...TOKENS, id_token }, JSON_TYPE)
    mock.post('/revoke', REVOKE).reply(200, '')
    const proved = mock.provider.redeemCode({ ...exchange, maxAge: 60 })
    await refused(t, proved, { reason: 'provider_id_token_invalid' }, 'max_age can be proved by nothing else')
  })

  t.test(
    'nonce: false -> none is expected, one is refused, and an id_token is required (F-14)',
    async (t) => {
      const mock = await readyProvider(t, { nonce: false })
      serveKeys(mock)
      const { nonce, ...claims } = claimsAt(mock.clock.ms)
      answerWith(mock, await sign(claims))
      t.match(await mock.provider.redeemCode(exchange), { claims: { sub: 'alice' } })
      mock.post('/revoke', REVOKE).reply(200, '').times(2)
      answerWith(mock, await sign({ ...claims, nonce }))
      await refused(t, mock.provider.redeemCode(exchange), { reason: 'provider_id_token_invalid' })
      mock.post('/token', EXCHANGE).reply(200, TOKENS, JSON_TYPE)
      await refused(t, mock.provider.redeemCode(exchange), { reason: 'provider_id_token_invalid' })
    },
  )

  t.test('of a refresh names the same subject, issuer and audience (OIDC Core §12.2, D-14)', async (t) => {
    const mock = await readyProvider(t)
    serveKeys(mock)
    const { nonce, ...claims } = claimsAt(mock.clock.ms)
    const refresh = () => mock.provider.refresh({ refreshToken: 'r1', subject: 'alice' })
    const idToken = await sign({ ...claims, nonce: 'of the login' })
    answerWith(mock, idToken, REFRESH)
    t.match(await refresh(), { idToken, tokens: { accessToken: 'at' } })
    t.match(await mock.provider.refreshedClaims(idToken, 'at'), { sub: 'alice' })

    mock.post('/revoke', REVOKE).reply(200, '').times(3)
    answerWith(mock, await sign({ ...claims, sub: 'bob' }), REFRESH)
    await refused(t, refresh(), { reason: 'provider_subject_mismatch', transient: false })
    answerWith(mock, await sign({ ...claims, iss: 'https://evil.example' }), REFRESH)
    await refused(t, refresh(), { reason: 'provider_subject_mismatch' })
    answerWith(mock, await sign({ ...claims, aud: 'other' }), REFRESH)
    await refused(t, refresh(), { reason: 'provider_subject_mismatch' })
  })

  t.test('of a refresh names nobody if it cannot be read, and no key is asked for (D-14)', async (t) => {
    const mock = await readyProvider(t)
    const { nonce, sub, ...claims } = claimsAt(mock.clock.ms)
    for (const idToken of ['garbage', 'a.b.c', 'a.b.c.d.e', await sign({ ...claims, sub: null as never })]) {
      answerWith(mock, idToken, REFRESH)
      t.match(await mock.provider.refresh({ refreshToken: 'r1', subject: 'alice' }), { idToken })
    }
  })
})

t.test('keys', async (t) => {
  /** One exchange whose id_token names `kid`. */
  async function login(mock: Mock, kid: string) {
    answerWith(mock, await sign(claimsAt(mock.clock.ms), rsa.privateKey, { kid }))
    return mock.provider.redeemCode({ ...exchange, nonce: 'n1' })
  }
  const without = { revocation_endpoint: undefined }

  t.test('an unknown kid asks again, at most once per second, and is a 503 meanwhile (F-13)', async (t) => {
    const mock = await readyProvider(t, {}, without)
    const throttled = { reason: 'provider_unavailable', endpoint: 'jwks', statusCode: 503 } as const
    serveKeys(mock)
    await login(mock, 'rsa')
    for (let i = 0; i < 100; i += 1) await refused(t, login(mock, `k${i}`), throttled)

    mock.clock.ms += 1000
    serveKeys(mock)
    await refused(t, login(mock, 'k'), { reason: 'provider_id_token_invalid' }, 'the newest keys lack it')
    for (let i = 0; i < 100; i += 1) await refused(t, login(mock, `k${i}`), throttled)

    mock.clock.ms += 2000
    serveKeys(mock, { keys: [{ ...rsaJwk, kid: 'new' }] })
    t.match(await login(mock, 'new'), { claims: { sub: 'alice' } }, 'a rotated key is found')
    mock.clock.ms += 1000
    serveKeys(mock, { keys: [{ ...rsaJwk, kid: 'new' }] })
    await refused(t, login(mock, 'rsa'), { reason: 'provider_id_token_invalid' }, 'a withdrawn one is not')
  })

  t.test('a key that was rotated 3 s after a fetch is found by all who wait (F-13)', async (t) => {
    const mock = await readyProvider(t, {}, without)
    serveKeys(mock)
    await login(mock, 'rsa')
    mock.clock.ms += 3000
    serveKeys(mock, { keys: [{ ...rsaJwk, kid: 'new' }] }).delay(50)
    for (const { claims } of await Promise.all([login(mock, 'new'), login(mock, 'new')])) {
      t.match(claims, { sub: 'alice' })
    }
  })

  t.test('of several under one kid all are tried (F-13)', async (t) => {
    const mock = await readyProvider(t, {}, without)
    const { publicKey } = await generateKeyPair('RS256')
    const other = { ...(await exportJWK(publicKey)), kid: 'rsa' }
    serveKeys(mock, { keys: [other, rsaJwk] })
    t.match(await login(mock, 'rsa'), { claims: { sub: 'alice' } })

    const strangers = await readyProvider(t, {}, without)
    serveKeys(strangers, { keys: [other, { ...other, use: 'sig' }] })
    const error = await refused(t, login(strangers, 'rsa'), { reason: 'provider_id_token_invalid' })
    t.match(error, { cause: { message: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' } })
  })

  t.test('are asked for once however many wait, and again after ten minutes (F-13)', async (t) => {
    const mock = await readyProvider(t, {}, without)
    serveKeys(mock).delay(50)
    await Promise.all([login(mock, 'rsa'), login(mock, 'rsa'), login(mock, 'rsa')])
    mock.clock.ms += 600_000
    mock.as.intercept({ path: '/jwks' }).reply(500, '').times(2)
    await refused(
      t,
      login(mock, 'rsa'),
      { reason: 'provider_unavailable', endpoint: 'jwks' },
      'old keys are not used',
    )
    serveKeys(mock)
    t.match(await login(mock, 'rsa'), { claims: { sub: 'alice' } })
  })

  t.test('are tried for once more after a transient failure (F-10)', async (t) => {
    const mock = await readyProvider(t, {}, without)
    mock.as.intercept({ path: '/jwks' }).reply(503, '')
    mock.as
      .intercept({ path: '/jwks' })
      .reply(200, { keys }, { headers: { 'content-type': 'application/jwk-set+json' } })
    t.match(await login(mock, 'rsa'), { claims: { sub: 'alice' } })
  })

  t.test(
    'are read whatever text type labels them, and null in them is absent (F-09, F-13, F-15)',
    async (t) => {
      const body = JSON.stringify({
        keys: [{ ...rsaJwk, use: null, alg: null, key_ops: null, ext: null, x5c: null }],
      })
      for (const type of [
        'application/jwk-set+json; charset=utf-8',
        'application/jwk+json',
        'text/plain',
        'text/html',
        'application/octet-stream',
      ]) {
        const mock = await readyProvider(t, {}, without)
        mock.as.intercept({ path: '/jwks' }).reply(200, body, { headers: { 'content-type': type } })
        t.match(await login(mock, 'rsa'), { claims: { sub: 'alice' } }, type)
      }
    },
  )

  t.test('that are no set, or more than 50, are refused (F-13)', async (t) => {
    for (const body of [
      {},
      { keys: {} },
      { keys: ['x'] },
      { keys: [null] },
      { keys: [[]] },
      { keys: Array.from({ length: 51 }, () => rsaJwk) },
    ]) {
      const mock = await readyProvider(t, {}, without)
      serveKeys(mock, body)
      await refused(t, login(mock, 'rsa'), { reason: 'provider_answer_invalid', endpoint: 'jwks' })
    }
  })
})

/** Signs what SignJWT would refuse to sign. */
async function signRaw(claims: object, header: object = {}): Promise<string> {
  const input = [{ alg: 'RS256', kid: 'rsa', ...header }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const signature = await crypto.subtle.sign(
    'RSASSA-PKCS1-v1_5',
    rsa.privateKey,
    new TextEncoder().encode(input),
  )
  return `${input}.${Buffer.from(signature).toString('base64url')}`
}
