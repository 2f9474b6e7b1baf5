import t from 'tap'
import { challenge, credentialsOf, isDpopScheme, tokenIn } from '../../../plugin/oauth/bearer.ts'
import { ISSUER, reasonOf, refusal } from '../../support/oauth-fixtures.ts'

const tokenOf = (...request: Parameters<typeof credentialsOf>) => tokenIn(credentialsOf(...request))

t.test('bearer token', async (t) => {
  const token = `pka_${'A'.repeat(64)}`
  const read = (...rawHeaders: string[]) => tokenOf(rawHeaders, '/api/x')

  t.test('one header, whatever the case of name and scheme (RFC 6750 §2.1)', async (t) => {
    t.equal(read('Host', 'a', 'Authorization', `Bearer ${token}`), token)
    t.equal(read('If-None-Match', 'x', 'authorization', `bearer ${token}`), token)
    t.equal(read('AUTHORIZATION', `BEARER   ${token}`), token)
    t.equal(read('Authorization', 'Bearer a.b-c_d~e+f/g=='), 'a.b-c_d~e+f/g==')
  })

  t.test('the scheme DPoP, whatever its case (RFC 9449 §7.1, O-02)', async (t) => {
    for (const scheme of ['DPoP', 'dpop', 'DPOP  ']) {
      const credentials = credentialsOf(['Authorization', `${scheme} ${token}`], '/api/x')
      t.ok(isDpopScheme(credentials))
      t.equal(tokenIn(credentials), token)
    }
    t.notOk(isDpopScheme(credentialsOf(['Authorization', `bearer ${token}`], '/api/x')))
  })

  t.test('no header: token_absent (RFC 6750 §3.1, H-06)', async (t) => {
    t.match(
      refusal(() => read('Host', 'a')),
      { reason: 'token_absent', statusCode: 401, error: '' },
    )
  })

  for (const value of [`Basic ${token}`, `DPoPX ${token}`, `BearerX ${token}`, 'Digest username="x"']) {
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
    ['Authorization', 'DPoP'],
    ['Authorization', 'DPoP '],
    ['Authorization', `DPoP${token}`],
    ['Authorization', `DPoP ${token} x`],
    ['Authorization', `DPoP ${'a'.repeat(8193)}`],
    ['Authorization', `DPoP ${token}`, 'Authorization', `Bearer ${token}`],
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
        reasonOf(() => tokenOf(['Authorization', `Bearer ${token}`], url)),
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
      t.equal(tokenOf(['Authorization', `Bearer ${token}`], url), token)
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
    t.equal(
      challenge(ISSUER, { error: 'use_dpop_nonce' }, 'DPoP'),
      'DPoP realm="https://api.example.com", error="use_dpop_nonce", algs="ES256 Ed25519 EdDSA PS256 RS256"',
    )
  })
})
