import t from 'tap'
import type { ActiveGrant } from '../../../plugin/grant/grant.ts'
import {
  deriveFor,
  openFor,
  openProviderSecrets,
  sealFor,
  sealProviderSecrets,
} from '../../../plugin/grant/seals.ts'
import { Sealing } from '../../../plugin/secrets/sealing.ts'

const SECRET = Buffer.alloc(32, 7)

t.test('a seal is bound to its grant, its client and its purpose, whatever the secret (G-03)', async (t) => {
  const sealing = new Sealing([SECRET])
  const owner = { id: 'grant-1', clientId: 'app' }
  const secret = Buffer.alloc(32, 1)
  const sealed = sealFor(sealing, owner, 'code', secret, { a: 1 })
  t.same(openFor(sealing, owner, 'code', secret, sealed), { a: 1 })
  t.equal(openFor(sealing, { ...owner, id: 'grant-2' }, 'code', secret, sealed), null)
  t.equal(openFor(sealing, { ...owner, clientId: 'other' }, 'code', secret, sealed), null)
  t.equal(openFor(sealing, owner, 'access', secret, sealed), null)
  t.equal(openFor(sealing, owner, 'code', Buffer.alloc(32, 2), sealed), null)

  const dataKey = sealing.newDataKey()
  const tokens = { accessToken: 'a', tokenType: 'Bearer' }
  const grant = { ...owner, sealed: sealProviderSecrets(sealing, owner, dataKey, tokens) } as ActiveGrant
  t.same(openProviderSecrets(sealing, grant, dataKey), tokens)
  t.equal(openProviderSecrets(sealing, { ...grant, id: 'grant-2' }, dataKey), null)
  t.equal(openProviderSecrets(sealing, { ...grant, clientId: 'other' }, dataKey), null)
})

t.test(
  'what is derived for a state is told by that state, at that grant, with that server secret (A-16, A-17)',
  async (t) => {
    const sealing = new Sealing([SECRET])
    const owner = { id: 'grant-1', clientId: 'app' }
    const state = Buffer.alloc(32, 1)
    const derived = deriveFor(sealing, owner, 'code_verifier', state, sealing.current)
    t.match(derived, /^[A-Za-z0-9_-]{43}$/)
    t.equal(deriveFor(sealing, owner, 'code_verifier', state, sealing.current), derived, 'the same again')

    const rotated = new Sealing([Buffer.alloc(32, 8), SECRET])
    t.equal(
      deriveFor(rotated, owner, 'code_verifier', state, sealing.current),
      derived,
      'after a rotation (G-05)',
    )
    const retired = new Sealing([Buffer.alloc(32, 8)])
    t.equal(deriveFor(retired, owner, 'code_verifier', state, sealing.current), null)

    const others = [
      deriveFor(sealing, owner, 'nonce', state, sealing.current),
      deriveFor(sealing, { ...owner, id: 'grant-2' }, 'code_verifier', state, sealing.current),
      deriveFor(sealing, { ...owner, clientId: 'other' }, 'code_verifier', state, sealing.current),
      deriveFor(sealing, owner, 'code_verifier', Buffer.alloc(32, 2), sealing.current),
      deriveFor(retired, owner, 'code_verifier', state, retired.current),
    ]
    t.equal(new Set([derived, ...others]).size, 6)
  },
)
