import fc from 'fast-check'
import t, { type Test } from 'tap'
import { newPair, type PluginApp, startPluginApp, type Tokens } from '../../support/plugin-app.ts'
import { json } from '../../support/stub-provider.ts'

/** Lifetimes between multiples of ten seconds, so that the time a test takes does not matter. */
const slack = { codeSeconds: 55, accessTokenSeconds: 595, refreshGraceSeconds: 15, duplicateSeconds: 15 }

async function modelled(t: Test): Promise<PluginApp> {
  const plugin = await startPluginApp(t, { lifetimes: slack })
  plugin.provider.behave.token = (_request, response) =>
    json(response, 200, {
      access_token: 'a',
      refresh_token: 'r',
      token_type: 'Bearer',
      expires_in: 31_536_000,
    })
  return plugin
}

t.test('any sequence of requests about one grant is answered as a simple model says', async (t) => {
  const plugin = await modelled(t)
  const operation = fc.oneof(
    { weight: 3, arbitrary: fc.record({ op: fc.constant('redeem' as const), right: fc.boolean() }) },
    { weight: 5, arbitrary: fc.record({ op: fc.constant('refresh' as const), back: fc.nat(2) }) },
    { weight: 4, arbitrary: fc.record({ op: fc.constant('call' as const), back: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('revoke' as const) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('foreign' as const) }) },
    {
      weight: 4,
      arbitrary: fc.record({ op: fc.constant('wait' as const), seconds: fc.constantFrom(10, 20, 60, 600) }),
    },
  )

  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 4, maxLength: 16 }), async (operations) => {
      const { code } = await plugin.code()
      let now = 0
      let redeemed: 'no' | 'yes' | 'never' = 'no'
      let redeemedAt = 0
      let alive = false
      let grace = { index: -1, until: 0 }
      const issued: { tokens: Tokens; expiresAt: number }[] = []
      const remember = (tokens: Tokens) => issued.push({ tokens, expiresAt: now + 595 })

      for (const step of operations) {
        if (step.op === 'wait') {
          plugin.store.advance(step.seconds)
          now += step.seconds
        } else if (step.op === 'redeem') {
          const response = await plugin.redeem(code, step.right ? {} : { code_verifier: newPair().verifier })
          const good = step.right && redeemed === 'no' && now < 55
          if (response.statusCode !== (good ? 200 : 400)) return false
          if (good) {
            remember(response.json() as Tokens)
            ;[redeemed, redeemedAt, alive] = ['yes', now, true]
          } else if (redeemed === 'no') redeemed = 'never'
          else if (redeemed === 'yes' && step.right) {
            const age = now - redeemedAt
            // Before that it is the app's own repetition (C-14), and afterwards the tombstone is gone.
            if (age > 15 && age < 3600) alive = false
          }
        } else if (step.op === 'refresh') {
          const index = issued.length - 1 - step.back
          if (!issued[index]) continue
          const response = await plugin.refresh(issued[index].tokens.refresh_token)
          const current = index === issued.length - 1
          const again = index === grace.index && now < grace.until
          if (response.statusCode !== (alive && (current || again) ? 200 : 400)) return false
          if (alive && current) {
            grace = { index, until: now + 15 }
            remember(response.json() as Tokens)
          } else if (alive && again) {
            const { refresh_token, access_token } = response.json() as Tokens
            const { tokens } = issued[index + 1]!
            if (refresh_token !== tokens.refresh_token || access_token !== tokens.access_token) return false
          } else alive = false
        } else if (step.op === 'call') {
          const one = issued.at(-1 - step.back)
          if (!one) continue
          const good = alive && now < one.expiresAt
          if ((await plugin.call(one.tokens.access_token)).statusCode !== (good ? 200 : 401)) return false
        } else if (step.op === 'revoke') {
          const token = issued.at(-1)?.tokens.refresh_token
          if (!token) continue
          await plugin.post('revoke', { client_id: 'app', token })
          alive = false
        } else {
          const token = issued.at(-1)?.tokens.refresh_token
          if (token) await plugin.refresh(token, { client_id: 'other' })
        }
      }
      return true
    }),
    { numRuns: 60 },
  )
})

t.test(
  'any requests at the same time: one activation, one successor each, nothing after the end',
  async (t) => {
    const plugin = await modelled(t)
    const operation = fc.constantFrom(
      'redeem',
      'redeem',
      'wrong',
      'refresh',
      'refresh',
      'old',
      'revoke' as const,
    )
    const rounds = fc.array(fc.array(operation, { minLength: 1, maxLength: 5 }), {
      minLength: 2,
      maxLength: 6,
    })

    await fc.assert(
      fc.asyncProperty(rounds, async (plan) => {
        const { code } = await plugin.code()
        const successors = new Map<string, Set<string>>()
        const handles: string[] = []
        let activations = 0
        let over = false
        for (const round of plan) {
          const overBefore = over
          const good: number[] = await Promise.all(
            round.map(async (name): Promise<number> => {
              const handle = name === 'old' ? handles[0] : handles.at(-1)
              if (name === 'redeem' || name === 'wrong') {
                const form = name === 'wrong' ? { code_verifier: newPair().verifier } : {}
                const response = await plugin.redeem(code, form)
                if (response.statusCode !== 200) return 0
                activations += 1
                handles.push((response.json() as Tokens).refresh_token)
                return 1
              }
              if (handle === undefined) return 0
              if (name === 'revoke') {
                const { statusCode } = await plugin.post('revoke', { client_id: 'app', token: handle })
                if (statusCode === 200) over = true
                return 0
              }
              const response = await plugin.refresh(handle)
              if (response.statusCode !== 200) return 0
              const { refresh_token } = response.json() as Tokens
              successors.set(handle, (successors.get(handle) ?? new Set()).add(refresh_token))
              if (!handles.includes(refresh_token)) handles.push(refresh_token)
              return 1
            }),
          )
          if (overBefore && good.some((count) => count > 0)) return false
        }
        return activations <= 1 && [...successors.values()].every((set) => set.size === 1)
      }),
      { numRuns: 60 },
    )
  },
)
