import { exportJWK, generateKeyPair } from 'jose'
import t from 'tap'
import { createKeySet } from '../../../../plugin/provider/openid/jwks.ts'

const { publicKey } = await generateKeyPair('RS256')
const jwk = { ...(await exportJWK(publicKey)), kid: 'known' }

/** A key set at a provider that counts, and whose clock stands unless `clock.ms` is moved. */
function keySet(keysOf: (fetches: number) => object[] = () => [jwk]) {
  const clock = { ms: 0 }
  const fetchedAtSeconds: number[] = []
  const fetchKeys = async () => {
    fetchedAtSeconds.push(clock.ms / 1000)
    return { keys: keysOf(fetchedAtSeconds.length) }
  }
  const keys = createKeySet(fetchKeys, () => clock.ms)
  const find = async (kid: string) => keys.find({ alg: 'RS256', kid }, { payload: '', signature: '' })
  return { clock, fetchedAtSeconds, find }
}

/** Ten tokens a second, each with a `kid` that nobody knows. */
async function flood({ clock, find }: ReturnType<typeof keySet>, seconds: number): Promise<void> {
  const end = clock.ms + seconds * 1000
  for (; clock.ms < end; clock.ms += 100) await find(`random ${clock.ms}`).catch(() => {})
}

t.test(
  'unknown kids without end: fetches after 1, 2, 4 ... 30 s while nothing new comes (F-13)',
  async (t) => {
    const set = keySet()
    await flood(set, 125)
    t.same(set.fetchedAtSeconds, [0, 1, 3, 7, 15, 31, 61, 91, 121])
  },
)

t.test('a fetch that brings a new key begins the pauses anew (F-13)', async (t) => {
  const set = keySet((fetches) => (fetches < 4 ? [jwk] : [{ ...jwk, kid: 'rotated' }]))
  await flood(set, 15)
  t.same(set.fetchedAtSeconds, [0, 1, 3, 7, 8, 10, 14])
})

t.test('a fetch that fails brings nothing new (F-13)', async (t) => {
  const set = keySet((fetches) => {
    if (fetches > 1) throw new Error('down')
    return [jwk]
  })
  await flood(set, 10)
  t.same(set.fetchedAtSeconds, [0, 1, 3, 7])
  t.ok(await set.find('known'), 'the known keys go on')
})

t.test('ten minutes without unknown kids begin the pauses anew (F-13)', async (t) => {
  const set = keySet()
  await flood(set, 40)
  set.clock.ms += 600_000
  await set.find('known')
  set.clock.ms += 1000
  await t.rejects(set.find('x'), { name: 'JWKSNoMatchingKey' })
  t.same(set.fetchedAtSeconds, [0, 1, 3, 7, 15, 31, 640, 641])
})
