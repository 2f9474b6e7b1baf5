import t from 'tap'
import {
  JSON_TYPE,
  REFRESH,
  readyProvider,
  refused,
  TOKENS,
  withoutOpenId,
} from '../../../support/provider-setup.ts'

t.test('circuit breaker', async (t) => {
  t.test('five failures in a row open it for its endpoint; one probe closes it (F-12)', async (t) => {
    const { provider, as, post, clock } = await readyProvider(t, withoutOpenId)
    post('/token', REFRESH).reply(500, '').times(5)
    for (let i = 0; i < 5; i += 1)
      await refused(t, provider.refresh({ refreshToken: 'r1' }), { unsent: false })
    await refused(t, provider.refresh({ refreshToken: 'r1' }), {
      reason: 'provider_unavailable',
      unsent: true,
    })

    as.intercept({ path: '/userinfo' }).reply(200, { sub: 'alice' }, JSON_TYPE)
    t.match(await provider.userinfo('at', undefined), { sub: 'alice' }, 'other endpoints are not concerned')

    clock.ms += 5000
    post('/token', REFRESH).reply(500, '')
    const [probe, other] = await Promise.allSettled([
      provider.refresh({ refreshToken: 'r1' }),
      provider.refresh({ refreshToken: 'r1' }),
    ])
    t.match(probe, { reason: { unsent: false } }, 'the probe fails')
    t.match(other, { reason: { unsent: true } }, 'while it is out nobody else goes')

    clock.ms += 5000
    post('/token', REFRESH).reply(200, TOKENS, JSON_TYPE).times(2)
    await provider.refresh({ refreshToken: 'r1' })
    await provider.refresh({ refreshToken: 'r1' })
  })

  t.test('refusals are answers: they do not open it (F-12)', async (t) => {
    const { provider, post } = await readyProvider(t, withoutOpenId)
    post('/token', REFRESH).reply(400, { error: 'invalid_grant' }, JSON_TYPE).times(6)
    for (let i = 0; i < 6; i += 1)
      await refused(t, provider.refresh({ refreshToken: 'r1' }), { reason: 'provider_refused_grant' })
  })

  t.test('no more than 128 calls run at a time (F-12)', async (t) => {
    const { provider, post } = await readyProvider(t, withoutOpenId)
    post('/token', REFRESH).reply(200, TOKENS, JSON_TYPE).delay(50).times(128)
    const results = await Promise.allSettled(
      Array.from({ length: 130 }, () => provider.refresh({ refreshToken: 'r1' })),
    )
    t.equal(results.filter(({ status }) => status === 'fulfilled').length, 128)
    t.match(results.at(-1), { reason: { reason: 'provider_unavailable', unsent: true } })
  })

  t.test('the pause is five seconds also where the clock of the host is set back (F-12)', async (t) => {
    const { provider, post } = await readyProvider(t, withoutOpenId, {}, { now: undefined as never })
    const call = () => provider.refresh({ refreshToken: 'r1' })
    post('/token', REFRESH).reply(500, '').times(5)
    for (let i = 0; i < 5; i += 1) await refused(t, call(), { unsent: false })
    const { now } = performance
    t.intercept(Date, 'now', { value: () => 0 })
    t.intercept(performance, 'now', { value: () => now.call(performance) + 5000 })
    post('/token', REFRESH).reply(200, TOKENS, JSON_TYPE)
    t.match(await call(), { tokens: { accessToken: 'at' } })
  })
})
