import t from 'tap'
import {
  issuerMatches,
  mapProviderError,
  parseAuthorizationResponse,
} from '../../../plugin/oauth/callback.ts'
import type { Reason } from '../../../plugin/oauth/errors.ts'
import { reasonOf, refusal } from '../../support/oauth-fixtures.ts'

const STATE_HANDLE = `pks_${'A'.repeat(64)}`

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

  t.test('an error without state is read; whose it is, the browser may tell (B-08)', async (t) => {
    t.same(parseAuthorizationResponse('error=access_denied'), {
      state: undefined,
      iss: undefined,
      error: 'access_denied',
      detail: 'access_denied',
    })
    t.equal(parseAuthorizationResponse('error=access_denied&state=').state, undefined)
  })

  const extras = [
    'scope=a&scope=b&error_message=100%',
    'hd=f%FCr',
    '%zz=1&f%FCr=1&f%FCr=2',
    'hd=%00&hd=%0d%0a',
  ]
  for (const extra of extras) {
    t.test(`unrecognised parameters are ignored: ${extra} (RFC 6749 §4.1.2, B-06)`, async (t) => {
      const response = { state: STATE_HANDLE, iss: undefined, code: 'a' }
      t.same(parseAuthorizationResponse(`${extra}&state=${STATE_HANDLE}&code=a&${extra}`), response)
      t.match(parseAuthorizationResponse(`state=${STATE_HANDLE}&error=access_denied&${extra}`), {
        error: 'access_denied',
      })
    })
  }

  const malformed: [string, string, Reason][] = [
    ['a code without state', 'code=a', 'callback_malformed'],
    ['nothing', 'scope=a', 'callback_malformed'],
    ['code and error without state', 'code=a&error=access_denied', 'callback_malformed'],
    ['an error whose state is none of ours', 'error=access_denied&state=x', 'state_unknown'],
    ['an error in Latin-1', `state=${STATE_HANDLE}&error=f%FCr`, 'form_malformed'],
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
      for (const [description, detail] of [
        ['f%FCr', 'access_denied: f\ufffdr'],
        ['f\u00fcr', 'access_denied: f\u00fcr'],
        ['100%', 'access_denied: 100%'],
        ['a%00%1b%c2%85b%zz', 'access_denied: a b%zz'],
        ['', 'access_denied'],
      ]) {
        const latin1 = `state=${STATE_HANDLE}&error=access_denied&error_description=${description}`
        t.match(parseAuthorizationResponse(latin1), { error: 'access_denied', detail })
        t.match(parseAuthorizationResponse(`${latin1}&error_description=b`), { error: 'access_denied' })
      }
      const long = parse({ error: 'access_denied', error_description: 'x'.repeat(5000) })
      t.equal(long.error !== undefined && long.detail.length, 256)
    },
  )

  t.test('errors that help the app come through, all others do not (RFC 6749 §4.1.2.1, B-08)', async (t) => {
    t.equal(mapProviderError('access_denied'), 'access_denied')
    for (const cancelled of ['user_cancelled_authorize', 'user_cancelled_login', 'consent_denied']) {
      t.equal(mapProviderError(cancelled), 'access_denied')
    }
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
        const provider = { isIssuer: (iss: string) => iss === 'https://as.ex', issRequired }
        const iss_ = iss === undefined ? {} : { iss }
        t.equal(issuerMatches(parse({ code: 'a', ...iss_ }), provider), matches)
        t.equal(issuerMatches(parse({ error: 'access_denied', ...iss_ }), provider), matches)
        const stateless = parse({ error: 'access_denied', ...iss_, state: '' })
        t.equal(issuerMatches(stateless, provider), iss === undefined || matches, 'B-08')
      },
    )
  }
})
