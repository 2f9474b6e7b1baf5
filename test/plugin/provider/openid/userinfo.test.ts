import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import t from 'tap'
import { ISSUER, JSON_TYPE, readyProvider, refused } from '../../../support/provider-setup.ts'

const { publicKey, privateKey } = await generateKeyPair('ES256')
const stranger = await generateKeyPair('ES256')
const keys = [{ ...(await exportJWK(publicKey)), kid: 'ec' }]
const JWT_TYPE = { headers: { 'content-type': 'application/jwt' } }

t.test('userinfo', async (t) => {
  const userinfo = { path: '/userinfo', headers: { authorization: 'Bearer at' } }
  const sign = (claims: object, key = privateKey) =>
    new SignJWT({ iss: ISSUER, aud: 'backend', sub: 'alice', ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'ec' })
      .sign(key)

  t.test('sub must be the one that is known (OIDC Core §5.3.2, F-17)', async (t) => {
    const { provider, as } = await readyProvider(t)
    as.intercept(userinfo).reply(200, { sub: 'alice', email: 'a@b' }, JSON_TYPE).times(2)
    t.same(await provider.userinfo('at', 'alice'), { sub: 'alice', email: 'a@b' })
    await refused(t, provider.userinfo('at', 'bob'), { reason: 'provider_subject_mismatch', statusCode: 502 })
    as.intercept(userinfo).reply(200, { email: 'a@b' }, JSON_TYPE)
    await refused(t, provider.userinfo('at', undefined), { reason: 'provider_answer_invalid' })
  })

  t.test('without OpenID another claim can be the subject, numbers as decimal text (F-17)', async (t) => {
    const { provider, as } = await readyProvider(t, { scope: 'read:user', subjectClaim: 'id' })
    for (const [id, sub] of [
      [583231, '583231'],
      ['80351110224678912', '80351110224678912'],
      [Number.MAX_SAFE_INTEGER, '9007199254740991'],
      [0, '0'],
    ] as const) {
      as.intercept(userinfo).reply(200, { id, sub: 'somebody', login: 'octocat' }, JSON_TYPE)
      t.same(await provider.userinfo('at', undefined), { id, sub, login: 'octocat' })
    }
    // Two ids that are rounded to one number would be one person here.
    for (const id of [
      '9007199254740993',
      '1.5',
      '1e400',
      'true',
      '""',
      'null',
      '{}',
      `"${'x'.repeat(256)}"`,
    ]) {
      as.intercept(userinfo).reply(200, `{"id":${id},"sub":"somebody"}`, JSON_TYPE)
      const reason = { reason: 'provider_answer_invalid', endpoint: 'userinfo' } as const
      const error = await refused(t, provider.userinfo('at', undefined), reason, id)
      t.match(error, { cause: { message: /^id: .*provider\.subjectClaim/ } })
    }
  })

  t.test('is tried once more after a transient failure (F-10)', async (t) => {
    const { provider, as } = await readyProvider(t)
    as.intercept(userinfo).reply(502, 'x')
    as.intercept(userinfo).reply(200, { sub: 'alice' }, JSON_TYPE)
    t.same(await provider.userinfo('at', undefined), { sub: 'alice' })
  })

  t.test('a signed one is verified like an id_token, and read (OIDC Core §5.3.2, F-09)', async (t) => {
    const { provider, as } = await readyProvider(t)
    as.intercept({ path: '/jwks' }).reply(200, { keys }, JSON_TYPE)
    for (const type of ['application/jwt; charset=utf-8', 'application/json']) {
      const body = await sign({ email: 'a@b', name: null })
      as.intercept(userinfo).reply(200, body, { headers: { 'content-type': type } })
      const claims = await provider.userinfo('at', 'alice')
      t.same(claims, { iss: ISSUER, aud: 'backend', sub: 'alice', email: 'a@b' }, type)
    }
    as.intercept(userinfo).reply(200, await sign({ aud: ['backend', 'project'], azp: 'backend' }), JWT_TYPE)
    t.match(await provider.userinfo('at', 'alice'), { sub: 'alice' })
  })

  t.test('a signed one that does not hold is refused (OIDC Core §5.3.2, RFC 8725 §3, F-09)', async (t) => {
    const mock = await readyProvider(t)
    const now = Math.floor(mock.clock.ms / 1000)
    mock.as.intercept({ path: '/jwks' }).reply(200, { keys }, JSON_TYPE)
    const wrong: [title: string, jwt: string, cause: string][] = [
      ['alg none', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.', 'ERR_JOSE_ALG_NOT_ALLOWED'],
      ['another key', await sign({}, stranger.privateKey), 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED'],
      ['another issuer', await sign({ iss: 'https://evil.example' }), 'iss'],
      ['no issuer', await sign({ iss: undefined }), 'iss'],
      ['another audience', await sign({ aud: 'other' }), 'aud'],
      ['no audience', await sign({ aud: undefined }), 'aud'],
      ['expired', await sign({ exp: now - 60 }), 'exp: expired 60 s ago'],
      ['from the future', await sign({ iat: now + 61 }), 'iat: issued 61 s in the future'],
      ['no subject', await sign({ sub: undefined }), 'sub'],
      ['encrypted', 'a.b.c.d.e', 'status 200, not a JSON object'],
    ]
    for (const [title, jwt, cause] of wrong) {
      mock.as.intercept(userinfo).reply(200, jwt, JWT_TYPE)
      const error = await refused(
        t,
        mock.provider.userinfo('at', 'alice'),
        { reason: 'provider_answer_invalid', endpoint: 'userinfo' },
        title,
      )
      t.match(error, { cause: { message: cause } }, title)
    }
    mock.as.intercept(userinfo).reply(200, await sign({ sub: 'mallory' }), JWT_TYPE)
    await refused(t, mock.provider.userinfo('at', 'alice'), { reason: 'provider_subject_mismatch' })
  })

  t.test('a signed one cannot be read without a jwks_uri, and nothing is asked for (F-09)', async (t) => {
    const { provider, as } = await readyProvider(t, { scope: 'user' }, { jwks_uri: undefined })
    as.intercept(userinfo).reply(200, await sign({}), JWT_TYPE)
    await refused(t, provider.userinfo('at', undefined), { reason: 'provider_answer_invalid' })
  })
})
