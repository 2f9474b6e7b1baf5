/** Nonces and the memory of used proofs: RFC 9449 §8, §9, §11.1, requirement O-03. */
import t from 'tap'
import { Nonces } from '../../../../plugin/session/dpop/nonces.ts'
import { DpopProofs } from '../../../../plugin/session/dpop/proofs.ts'
import { SeenProofs } from '../../../../plugin/session/dpop/seen-proofs.ts'
import { ProofKeyPair } from '../../../support/dpop.ts'
import { session } from '../../../support/forwarder.ts'
import { reasonOf } from '../../../support/oauth-fixtures.ts'

const secret = (byte: number) => Buffer.alloc(32, byte)
/** The beginning of a window. */
const START = 1_800_000_000_000

t.test('all instances give out the same nonces, and others know nothing of them (O-03)', async (t) => {
  const at = (now: number, ...secrets: number[]) => new Nonces(secrets.map(secret), () => now)
  t.equal(at(START, 1).current, at(START + 14_999, 1).current)
  t.not(at(START, 1).current, at(START + 15_000, 1).current)
  t.not(at(START, 1).current, at(START, 2).current)
  t.match(at(START, 1).current, /^[A-Za-z0-9_-]{22}$/)
  t.equal(at(START, 2).windowOf(at(START, 1).current), undefined)
  t.ok(at(START, 2, 1).windowOf(at(START, 1).current), 'one that has another secret in front knows them')
})

t.test(
  'a nonce is accepted for 30 s at most, and for 14 s at least after it was given out (O-03)',
  async (t) => {
    let now = START
    const nonces = new Nonces([secret(1)], () => now)
    const { current } = nonces
    const accepted: number[] = []
    for (now = START - 40_000; now <= START + 40_000; now += 500) {
      if (new Nonces([secret(1)], () => now).windowOf(current) !== undefined) accepted.push(now - START)
    }
    t.equal(accepted[0], -1000, 'clocks of instances differ')
    t.equal(accepted.at(-1), 28_500)
    t.equal(accepted.length, 60)
  },
)

t.test('a clock that goes back a little accepts no more than before (O-03)', async (t) => {
  let now = START
  const nonces = new Nonces([secret(1)], () => now)
  const { current } = nonces
  now = START + 30_000
  t.equal(nonces.windowOf(current), undefined)
  const later = nonces.current
  now = START + 10_000
  t.equal(nonces.windowOf(current), undefined, 'what was used with it is forgotten')
  t.equal(nonces.current, later)
  now = START - 120_000
  t.not(nonces.current, later, 'one that was minutes ahead is set right')
})

t.test('the memory is bounded, fails closed, and has room again when nonces have ended (O-03)', async (t) => {
  const seen = new SeenProofs(2)
  t.ok(seen.add(1, 'a', 0))
  t.ok(seen.add(2, 'b', 0))
  t.notOk(seen.add(2, 'c', 1))
  t.ok(seen.has(1, 'a'))
  t.notOk(seen.has(2, 'a'), 'of another nonce it is another proof')
  t.ok(seen.add(3, 'c', 2), 'the first window is over')
  t.notOk(seen.has(1, 'a'))
  t.ok(seen.has(2, 'b'))
  t.notOk(seen.add(3, 'd', 2))
})

/** A check whose clock stands, and requests of one app. */
function setUp(before?: DpopProofs) {
  const options = { publicUrl: 'https://a.example', clients: new Map(), secrets: [secret(1)] }
  const proofs = new DpopProofs(options, Date.now, before)
  return { proofs, options }
}

t.test(
  'what was used before a reload is used after it, and after its secret has changed (Q-03, O-03)',
  async (t) => {
    const key = new ProofKeyPair()
    const { proofs, options } = setUp()
    const claims = { ath: 'hash' }
    const request = (dpop: string) => ({ raw: { method: 'GET', url: '/x', rawHeaders: ['DPoP', dpop] } })
    const bound = session({ jkt: key.jkt, tokenHash: 'hash' })
    const used = request(key.prove('GET', 'https://a.example/x', { nonce: proofs.nonce, claims }))
    proofs.check(used, bound)
    const next = new DpopProofs({ ...options, secrets: [secret(2), secret(1)] }, Date.now, proofs)
    t.equal(
      reasonOf(() => next.check(used, bound)),
      'dpop_proof_replayed',
    )
    next.check(request(key.prove('GET', 'https://a.example/x', { nonce: proofs.nonce, claims })), bound)
  },
)

t.test('an endpoint takes a proof once (O-03)', async (t) => {
  const key = new ProofKeyPair()
  const { proofs } = setUp()
  const dpop = key.prove('GET', 'https://a.example/x', { nonce: proofs.nonce, claims: { ath: 'hash' } })
  const request = { raw: { method: 'GET', url: '/x', rawHeaders: ['dpop', dpop] } }
  t.equal(proofs.prove(request), key.jkt)
  t.equal(
    reasonOf(() => proofs.prove(request)),
    'dpop_proof_replayed',
  )
})
