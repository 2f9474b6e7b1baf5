import { hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { deriveKey } from '../../../plugin/secrets/hkdf.ts'

t.test('a key is derived by HKDF-SHA-256 (RFC 5869 §2, Appendix A; G-04)', async (t) => {
  const bytes = (first: number, length: number) => Buffer.from(Array.from({ length }, (_, i) => first + i))
  const secret = Buffer.alloc(22, 0x0b)
  const none = Buffer.alloc(0)
  t.equal(
    deriveKey(secret, bytes(0x00, 13), bytes(0xf0, 10)).toString('hex'),
    '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf',
    'A.1, first 32 bytes',
  )
  t.equal(
    deriveKey(bytes(0x00, 80), bytes(0x60, 80), bytes(0xb0, 80)).toString('hex'),
    'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c',
    'A.2, first 32 bytes: inputs longer than a block',
  )
  t.equal(
    deriveKey(secret, none, none).toString('hex'),
    '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d',
    'A.3, first 32 bytes: no salt, no info',
  )
  for (const length of [63, 64, 65]) {
    const expected = Buffer.from(hkdfSync('sha256', secret, bytes(0, length), none, 32))
    t.same(deriveKey(secret, bytes(0, length), none), expected, `a salt of ${length} bytes`)
  }
  const input = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array))
  fc.assert(
    fc.property(input, input, input, (secret, salt, info) =>
      deriveKey(secret, salt, info).equals(Buffer.from(hkdfSync('sha256', secret, salt, info, 32))),
    ),
  )
})
