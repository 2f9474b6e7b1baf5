import fc from 'fast-check'
import t from 'tap'
import { decodeGrant, encodeGrant, type Grant } from '../../../plugin/grant/grant.ts'
import { active, authorized, authorizing, ended, leased, redeeming } from '../../support/grant-samples.ts'

const samples: Grant[] = [authorizing, authorized, redeeming, active, leased, ended]

t.test('only a complete record of a known version is a grant (C-23, G-15)', async (t) => {
  for (const sample of samples) {
    const plain = JSON.parse(encodeGrant(sample)) as Record<string, unknown>
    const read = (value: unknown) => decodeGrant(JSON.stringify(value))
    t.test(`${sample.status}`, async (t) => {
      t.same(read(plain), sample)
      const optional = ['state', 'maxAgeSeconds', 'acrValues', 'resources', 'refreshToken', 'code', 'lease']
      for (const key of Object.keys(plain)) {
        const { [key]: _, ...without } = plain
        if (!optional.includes(key)) t.equal(read(without), null, `without ${key}`)
        t.equal(read({ ...plain, [key]: null }), null, `${key}: null`)
        if (key !== 'claims') t.equal(read({ ...plain, [key]: { x: 'y' } }), null, `${key}: an object`)
      }
      t.equal(read({ ...plain, extra: 1 }), null, 'a field too many')
      t.equal(read({ ...plain, v: 2 }), null)
      t.equal(read({ ...plain, v: '1' }), null)
      t.equal(read({ ...plain, status: 'active ' }), null)
      t.equal(read([plain]), null)
      t.equal(decodeGrant(encodeGrant(sample).replace('{', '{"__proto__":{},')), null)
    })
  }
  const noGrants = [
    '',
    'null',
    '1',
    '"active"',
    '[]',
    '{}',
    '{',
    '{"status":"__proto__"}',
    '{"status":"constructor"}',
  ]
  for (const text of noGrants) t.equal(decodeGrant(text), null, text)
  t.equal(
    decodeGrant(encodeGrant(active).replace('"activatedAt":2', '"activatedAt":1e999')),
    null,
    'Infinity',
  )
  fc.assert(fc.property(fc.json(), (text) => decodeGrant(text) === null))
})
