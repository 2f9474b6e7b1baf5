import test from 'node:test'
import { memoryStore } from 'fastify-pkce'
import { storeContract } from 'fastify-pkce/store-contract'

for (const { title, run } of storeContract({ create })) test(title, run)

/** Each rule gets a store of its own. */
async function create() {
  let now = Date.now()
  const store = memoryStore({ now: () => now })
  const advance = async (ms: number) => {
    now += ms
  }
  return { store, advance, close: () => store.close() }
}
