import t from 'tap'
import type { Reason } from '../../../plugin/oauth/errors.ts'
import {
  assertScopeAllowed,
  parseAuthorizationCodeRequest,
  parseGrantType,
  parseRefreshRequest,
  parseTokenParameter,
  tokenParameters,
  tokenRequestParameters,
  tokenResponse,
} from '../../../plugin/oauth/token.ts'
import { reasonOf, refusal, registered, VERIFIER } from '../../support/oauth-fixtures.ts'

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

  t.test('what a token request is read for; the method it names is not (RFC 7636 §4.5, C-10)', async (t) => {
    t.notOk((tokenRequestParameters as readonly string[]).includes('code_challenge_method'))
    t.same(parseAuthorizationCodeRequest(valid), {
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
  ]
  for (const [what, changes, reason] of invalid) {
    t.test(`${what}: 400 invalid_request (RFC 6749 §5.2, C-08)`, async (t) => {
      t.match(
        refusal(() => parseAuthorizationCodeRequest({ ...valid, ...changes })),
        { reason, statusCode: 400, error: 'invalid_request' },
      )
    })
  }

  t.test('redirect_uri may be left out (OAuth 2.1 draft §10.2, C-13)', async (t) => {
    t.match(parseAuthorizationCodeRequest({ ...valid, redirect_uri: undefined }), {
      code: 'pkc_x',
      redirectUri: undefined,
    })
  })

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
    t.equal(parseTokenParameter({ token: 'x' }), 'x')
    t.notOk((tokenParameters as readonly string[]).includes('token_type_hint'), 'the hint is ignored')
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
