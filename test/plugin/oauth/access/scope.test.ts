import t from 'tap'
import { formatScope, grantScope, narrowScope, parseScope } from '../../../../plugin/oauth/access/scope.ts'
import { reasonOf, refusal } from '../../../support/oauth-fixtures.ts'

t.test('scope', async (t) => {
  t.test('tokens are kept in order, each once (RFC 6749 §3.3)', async (t) => {
    t.same(parseScope('b a b c'), ['b', 'a', 'c'])
    t.equal(formatScope(['b', 'a']), 'b a')
  })

  for (const text of ['', ' a', 'a ', 'a  b', 'a"b', 'a\\b', 'a\tb', 'ä', 'a\u0000']) {
    t.test(`${JSON.stringify(text)} is no scope (RFC 6749 A.4, A-13)`, async (t) => {
      t.match(
        refusal(() => parseScope(text)),
        { reason: 'scope_not_allowed', error: 'invalid_scope' },
      )
    })
  }

  t.test('nothing requested is all that is allowed (RFC 6749 §3.3, A-13)', async (t) => {
    t.same(grantScope(undefined, ['a', 'b']), ['a', 'b'])
  })

  t.test('OpenID scopes are accepted from every client and never granted (A-13)', async (t) => {
    t.same(grantScope('openid profile email address phone offline_access a', ['a', 'b']), ['a'])
    t.same(grantScope('openid', ['a', 'b']), [])
    t.same(grantScope('openid a', ['openid', 'a']), ['a'])
    t.same(grantScope(undefined, ['openid', 'a']), ['a'])
  })

  t.test('a scope that is not allowed is refused, not dropped (RFC 6749 §4.1.2.1, A-13)', async (t) => {
    t.equal(
      reasonOf(() => grantScope('a admin', ['a'])),
      'scope_not_allowed',
    )
  })

  t.test('a refresh narrows and never widens (RFC 6749 §6, D-13)', async (t) => {
    t.same(narrowScope(undefined, ['a', 'b']), ['a', 'b'])
    t.same(narrowScope('openid b', ['a', 'b']), ['b'])
    t.equal(
      reasonOf(() => narrowScope('a c', ['a', 'b'])),
      'scope_not_allowed',
    )
  })
})
