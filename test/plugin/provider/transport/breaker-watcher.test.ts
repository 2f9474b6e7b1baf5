import t from 'tap'
import { ProviderError } from '../../../../plugin/oauth/errors.ts'
import { createBreaker } from '../../../../plugin/provider/transport/breaker.ts'

t.test(
  'a breaker tells when it opens, when it closes, and what it did not let out (F-12, Q-04)',
  async (t) => {
    const told: (boolean | 'refused')[] = []
    let now = 0
    const breaker = createBreaker('token', () => now, {
      onState: (isOpen) => told.push(isOpen),
      onRefusal: () => told.push('refused'),
    })
    const fail = () =>
      breaker(async () => {
        throw new ProviderError('provider_unavailable', 'token')
      }).catch(() => {})
    for (let i = 0; i < 5; i++) await fail()
    t.same(told, [true])
    await fail()
    t.same(told, [true, 'refused'])
    now += 5000
    await fail()
    t.same(told, [true, 'refused'], 'a probe that fails changes nothing')
    now += 5000
    await breaker(async () => 'ok')
    await breaker(async () => 'ok')
    t.same(told, [true, 'refused', false])
  },
)
