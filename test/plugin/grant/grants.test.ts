import fc from 'fast-check'
import t from 'tap'
import type { Grant } from '../../../plugin/grant/grant.ts'
import { Grants, type StoredGrant } from '../../../plugin/grant/grants.ts'
import { end, lease, rotate } from '../../../plugin/grant/transitions.ts'
import { memoryStore } from '../../../plugin/index.ts'
import { issueFirstHandle } from '../../../plugin/secrets/handles.ts'
import {
  accessToken,
  active,
  authorized,
  authorizing,
  ended,
  leased,
  lifetimes,
  redeeming,
  refreshToken,
} from '../../support/grant-samples.ts'

t.test('200 parallel writers of one version: one winner, for every step (G-07)', async (t) => {
  const store = memoryStore({ now: () => 1000 })
  t.teardown(() => store.close())
  const grants = new Grants(store, [authorizing.provider], lifetimes)
  await grants.create(authorizing)
  let current = (await grants.read(authorizing.id))!
  for (const next of [authorized, redeeming, active, leased, ended]) {
    const from = current
    const results = await Promise.all(Array.from({ length: 200 }, () => grants.replace(from, next)))
    const winners = results.filter((result) => result !== null)
    t.equal(winners.length, 1, next.status)
    current = winners[0]!
  }
})

t.test('an end wins over whatever is written meanwhile, and is final', async (t) => {
  const store = memoryStore({ now: () => 1000 })
  t.teardown(() => store.close())
  const grants = new Grants(store, [authorizing.provider], lifetimes)
  await grants.create(authorizing)
  const first = (await grants.read(authorizing.id))!
  await grants.replace(first, authorized)
  t.equal(await grants.endUnlessChanged(first, 'revoked'), false)
  t.equal((await grants.end(first, 'revoked'))?.status, 'authorized', 'tells what it was just before')
  t.equal(await grants.end(first, 'revoked'), null, 'once')
  t.equal((await grants.read(authorizing.id))!.grant.status, 'ended')
})

t.test(
  'several actors, any order: one winner per swap, one activation, nothing after the end (model)',
  async (t) => {
    const store = memoryStore({ now: () => 1000 })
    t.teardown(() => store.close())
    const grants = new Grants(store, [authorizing.provider], lifetimes)
    const step = fc.record({
      actor: fc.nat(3),
      move: fc.constantFrom(
        'read',
        'forward',
        'forward',
        'rotate',
        'lease',
        'end',
        'endUnlessChanged' as const,
      ),
    })

    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const id = issueFirstHandle('state').selector
        await grants.create({ ...authorizing, id })
        const model = { version: 1, status: 'authorizing' as Grant['status'], activations: 0 }
        const seen: StoredGrant[] = Array(4).fill((await grants.read(id))!)

        for (const { actor, move } of steps) {
          const snapshot = seen[actor]!
          if (move === 'read') {
            seen[actor] = (await grants.read(id))!
            if (seen[actor].version !== model.version || seen[actor].grant.status !== model.status)
              return false
            continue
          }
          if (move === 'end') {
            const won = (await grants.end(snapshot, 'revoked')) !== null
            if (won !== (model.status !== 'ended')) return false
            if (won) Object.assign(model, { version: model.version + 1, status: 'ended' })
            continue
          }
          if (snapshot.grant.status === 'ended') continue
          const next =
            move === 'endUnlessChanged' ? end(snapshot.grant, 'revoked', 1) : walk(snapshot.grant, move)
          if (!next) continue
          const won = await grants.replace(snapshot, next)
          if ((won !== null) !== (snapshot.version === model.version)) return false
          if (!won) continue
          if (model.status !== 'active' && next.status === 'active') model.activations += 1
          Object.assign(model, { version: model.version + 1, status: next.status })
          seen[actor] = won
        }
        const last = (await grants.read(id))!
        return last.version === model.version && last.grant.status === model.status && model.activations <= 1
      }),
      { numRuns: 300 },
    )
  },
)

/** What an endpoint would write next. */
function walk(grant: Grant, move: 'forward' | 'rotate' | 'lease'): Grant | null {
  const { id } = grant
  if (grant.status === 'active') {
    if (move === 'lease') return lease(grant, 'owner', 1)
    return move === 'rotate'
      ? rotate(grant, { now: 1, accessToken: accessToken('n'), refreshToken: refreshToken('n') })
      : null
  }
  if (move !== 'forward') return null
  if (grant.status === 'authorizing') return { ...authorized, id }
  return grant.status === 'authorized' ? { ...redeeming, id } : { ...active, id }
}
