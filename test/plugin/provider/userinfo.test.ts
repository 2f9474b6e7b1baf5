import t from 'tap'
import { JSON_TYPE, readyProvider, refused } from '../../support/provider-setup.ts'

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
