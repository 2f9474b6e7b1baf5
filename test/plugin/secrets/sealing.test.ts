import t, { type Test } from 'tap'
import { Sealing } from '../../../plugin/secrets/sealing.ts'

const SECRET = Buffer.alloc(32, 7)

t.test('a seal opens with its own secret, context and server secret only (G-03, G-04)', async (t) => {
  const sealing = new Sealing([SECRET])
  const rotated = new Sealing([Buffer.alloc(32, 8), SECRET])
  const retired = new Sealing([Buffer.alloc(32, 8)])
  const secret = Buffer.alloc(32, 1)
  const context = { grantId: 'grant', text: 'a text with the grant' }
  const others = [
    { ...context, grantId: 'another' },
    { ...context, text: 'another' },
  ]
  const plain = Buffer.from('plain')

  t.test('what is sealed for one holder', async (t) => {
    const sealed = sealing.sealFor(secret, plain, context)
    t.same(sealing.openFor(secret, sealed, context), plain)
    t.same(rotated.openFor(secret, sealed, context), plain, 'all secrets open (G-05)')
    t.not(rotated.sealFor(secret, plain, context).slice(0, 8), sealed.slice(0, 8), 'the first seals')
    t.equal(retired.openFor(secret, sealed, context), null)
    const renamed = retired.sealFor(secret, plain, context).slice(0, 9) + sealed.slice(9)
    t.equal(retired.openFor(secret, renamed, context), null, 'the name of a server secret is not the secret')
    t.equal(sealing.openFor(Buffer.alloc(32, 2), sealed, context), null)
    for (const other of others) t.equal(sealing.openFor(secret, sealed, other), null)
    for (const garbage of garbled(sealed)) {
      t.equal(sealing.openFor(secret, garbage, context), null, garbage)
    }
  })

  for (const isUniform of [true, false]) {
    t.test(
      `a data key that is wrapped for a holder whose secret is ${isUniform ? 'random' : 'anything'}`,
      (t) => wrapped(t, isUniform),
    )
  }

  async function wrapped(t: Test, isUniform: boolean): Promise<void> {
    const dataKey = sealing.newDataKey()
    t.equal(dataKey.length, 32)
    const sealed = sealing.seal(dataKey, plain, context)
    t.same(sealing.open(dataKey, sealed, context), plain)
    for (const text of ['another', '']) t.equal(sealing.open(dataKey, sealed, { ...context, text }), null)
    t.equal(sealing.open(sealing.newDataKey(), sealed, context), null)

    const wrapped = sealing.wrap(dataKey, secret, context, isUniform)
    t.same(sealing.unwrap(wrapped, secret, context), dataKey)
    t.same(rotated.unwrap(wrapped, secret, context), dataKey)
    t.equal(retired.unwrap(wrapped, secret, context), null)
    const opens = (key: Buffer | null) => key !== null && sealing.open(key, sealed, context) !== null
    t.ok(opens(sealing.unwrap(wrapped, secret, context)))
    t.notOk(opens(sealing.unwrap(wrapped, Buffer.alloc(32, 2), context)))
    for (const other of others) t.notOk(opens(sealing.unwrap(wrapped, secret, other)))
    for (const garbage of garbled(wrapped)) t.notOk(opens(sealing.unwrap(garbage, secret, context)), garbage)
    const masks = others.map((other) => sealing.wrap(dataKey, secret, other, isUniform))
    t.equal(new Set([wrapped, ...masks]).size, 3, 'no mask serves twice')
  }

  t.test('every byte is authenticated, and every write has a fresh nonce', async (t) => {
    const dataKey = sealing.newDataKey()
    const sealed = sealing.seal(dataKey, plain, context)
    const bytes = Buffer.from(sealed, 'base64url')
    for (let i = 0; i < bytes.length; i++) {
      const flipped = Buffer.from(bytes)
      flipped[i]! ^= 1
      if (sealing.open(dataKey, flipped.toString('base64url'), context)) {
        t.fail(`byte ${i} is not authenticated`)
      }
    }
    t.not(sealing.seal(dataKey, plain, context), sealed)
    t.not(sealing.seal(dataKey, plain, context).slice(0, 16), sealed.slice(0, 16))
  })
})

/** Texts that are not quite `sealed`, whose first nine characters name the server secret. */
function garbled(sealed: string): string[] {
  const [name, rest] = [sealed.slice(0, 9), sealed.slice(9)]
  const shorter = [name, rest.slice(0, -2), `${name}${rest.slice(0, -2)}`, `${name}${rest.slice(2)}`]
  return ['', '.', 'x', ...shorter, `${sealed}AAAA`, `${name}${'A'.repeat(80)}`, `${name}${'A'.repeat(43)}`]
}
