import t from 'tap'
import { startSharedStore } from '../support/shared-store.ts'
import { walkFaults } from './walk.ts'

t.test('Redis', async (t) => {
  const store = await startSharedStore(t, 'redis')
  if (typeof store === 'string') {
    t.skip(store)
    return
  }
  await t.test('lost at each step of the walk', (t) => walkFaults(t, store))
})
