import t from 'tap'
import type { ActiveGrant, AuthorizedGrant } from '../../../plugin/grant/grant.ts'
import { Seals } from '../../../plugin/grant/seals.ts'
import { Sealing } from '../../../plugin/secrets/sealing.ts'

const SECRET = Buffer.alloc(32, 7)

t.test('a seal is bound to its grant, its client and its purpose, whatever the secret (G-03)', async (t) => {
  const seals = new Seals(new Sealing([SECRET]))
  const owner = { id: 'grant-1', clientId: 'app' }
  const secret = Buffer.alloc(32, 1)
  const sealed = seals.sealFor(owner, 'code', secret, { a: 1 })
  t.same(seals.openFor(owner, 'code', secret, sealed), { a: 1 })
  t.equal(seals.openFor({ ...owner, id: 'grant-2' }, 'code', secret, sealed), null)
  t.equal(seals.openFor({ ...owner, clientId: 'other' }, 'code', secret, sealed), null)
  t.equal(seals.openFor(owner, 'access', secret, sealed), null)
  t.equal(seals.openFor(owner, 'code', Buffer.alloc(32, 2), sealed), null)

  const dataKey = seals.newDataKey()
  const tokens = { accessToken: 'a', tokenType: 'Bearer' }
  const grant = { ...owner, sealed: seals.sealProviderSecrets(owner, dataKey, tokens) } as ActiveGrant
  t.same(seals.openProviderSecrets(grant, dataKey), tokens)
  t.equal(seals.openProviderSecrets({ ...grant, id: 'grant-2' }, dataKey), null)
  t.equal(seals.openProviderSecrets({ ...grant, clientId: 'other' }, dataKey), null)
})

t.test(
  'what is derived for a state is told by that state, at that grant, with that server secret (A-16, A-17)',
  async (t) => {
    const seals = new Seals(new Sealing([SECRET]))
    const owner = { id: 'grant-1', clientId: 'app' }
    const state = Buffer.alloc(32, 1)
    const derived = seals.derive(owner, 'code_verifier', state, seals.serverSecret)
    t.equal(derived?.length, 32)
    t.same(seals.derive(owner, 'code_verifier', state, seals.serverSecret), derived, 'the same again')

    const rotated = new Seals(new Sealing([Buffer.alloc(32, 8), SECRET]))
    t.same(
      rotated.derive(owner, 'code_verifier', state, seals.serverSecret),
      derived,
      'after a rotation (G-05)',
    )
    const retired = new Seals(new Sealing([Buffer.alloc(32, 8)]))
    t.equal(retired.derive(owner, 'code_verifier', state, seals.serverSecret), null)

    const others = [
      seals.derive(owner, 'nonce', state, seals.serverSecret),
      seals.derive({ ...owner, id: 'grant-2' }, 'code_verifier', state, seals.serverSecret),
      seals.derive({ ...owner, clientId: 'other' }, 'code_verifier', state, seals.serverSecret),
      seals.derive(owner, 'code_verifier', Buffer.alloc(32, 2), seals.serverSecret),
      retired.derive(owner, 'code_verifier', state, retired.serverSecret),
    ]
    t.equal(new Set([derived, ...others].map((bytes) => bytes?.toString('hex'))).size, 6)
  },
)

const seals = new Seals(new Sealing([SECRET]))
const owner = { id: 'AAAAAAAAAAAAAAAAAAAAAA', clientId: 'com.example app' }
const secret = Buffer.alloc(32, 1)
const dataKey = Buffer.alloc(32, 9)
/** Made by the first version that stored records of the form `v: 1`, with `SECRET`. */
const stored = {
  serverSecret: 'GB-egkVw',
  nonce: 'y9v8WEW4KtulKnHZq7Ed3DusY7Re4-qP8LJdv4DKxSs',
  codeVerifier: '7H-npBxv25koFmvImj7ufQghO_FTFsQ5VnyPLHySgKo',
  code: 'GB-egkVw.e8klqFK19ftk3C6-y34VF3mJTJOwd8b0CF4VzW6Epcg',
  access: 'GB-egkVw.MDLYBv2EZb5up3BJQVZKBF7YavBxTttG9fkTjKd4NQw',
  refresh: 'GB-egkVw.RQw8A6WTwQafUPp78aFFTecFLOqm9WTwYly4Xmhh7P4',
  predecessor:
    'GB-egkVw.TpZ_qosXZCJmMlvsrQ3Bck0NeTnhbF7DekCNE6RyOZALwgtiz-ggjWmemIbrBLnwrCnSBwmRTJpm_byrl2ecA2T2uwrZBovZLGuTdYsSfpzxtOJ22AQQ',
  tokenExchange:
    'Y2ZME93vpoKQh4Iyk8WU6c_aCAJQbBs50jsTQeu5IjsD2BdBpElQyGI0YLoiXeU6emUph5lDrFcOXy3h5AAEi80pywsYI8vT5QOASlXl9NnsNqo',
  provider:
    'yNVg2A1gpftlplYtbzbWxSoioXj5VovuEIkKewm8ox0wvZ4ewMIND_G9Z4KiSb_OE7PUDrg-iOoXhqaY1zrbJ9Lw9dTOohc2p-fgOtdMEMgZHZ4TGFyfwhrCJzpN1owXk-Wx6YyxmQPG8mJ6kKRdSDL-2XQ',
}

t.test('a data key that a record holds for its code, access and refresh token opens (G-04)', async (t) => {
  for (const holder of ['code', 'access', 'refresh'] as const) {
    t.same(seals.unwrapDataKey(owner, holder, secret, stored[holder]), dataKey, holder)
    t.equal(
      seals.wrapDataKeyForAny(owner, holder, secret, dataKey),
      stored[holder],
      'and is made alike for what was not made here',
    )
    const wrapped = seals.wrapDataKey(owner, holder, secret, dataKey)
    t.not(wrapped, stored[holder])
    t.same(seals.unwrapDataKey(owner, holder, secret, wrapped), dataKey)
    t.equal(seals.serverSecretOf(wrapped), stored.serverSecret)
  }
})

t.test('what a record holds for one holder, or under its data key, opens (G-03)', async (t) => {
  t.same(seals.openFor(owner, 'predecessor', secret, stored.predecessor), {
    accessToken: 'a',
    tokenType: 'Bearer',
    refreshToken: 'r',
  })
  const authorized = { ...owner, sealed: stored.tokenExchange } as AuthorizedGrant
  t.same(seals.openTokenExchangeSecrets(authorized, dataKey), {
    code: 'provider-code',
    nonce: 'n',
    codeVerifier: 'v',
  })
  const active = { ...owner, sealed: stored.provider } as ActiveGrant
  t.same(seals.openProviderSecrets(active, dataKey), {
    accessToken: 'provider-access',
    tokenType: 'Bearer',
    refreshToken: 'provider-refresh',
  })
})

t.test('what a state derives is what it derived when the login began (A-16, A-17)', async (t) => {
  const derive = (purpose: 'nonce' | 'code_verifier') =>
    seals.derive(owner, purpose, secret, stored.serverSecret)?.toString('base64url')
  t.equal(seals.serverSecret, stored.serverSecret)
  t.equal(derive('nonce'), stored.nonce)
  t.equal(derive('code_verifier'), stored.codeVerifier)
})
