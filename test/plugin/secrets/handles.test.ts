import fc from 'fast-check'
import t from 'tap'
import {
  familyOf,
  type HandleType,
  hashCredential,
  hashFamily,
  issueFirstHandle,
  issueHandle,
  nextGeneration,
  parseHandle,
  sameHash,
} from '../../../plugin/secrets/handles.ts'
import { randomBytes } from '../../../plugin/secrets/random.ts'

t.test('handles have one spelling, one type and 256 random bits (C-24, G-01, P-8)', async (t) => {
  const types: HandleType[] = ['state', 'code', 'access', 'refresh']
  t.test('what is issued parses, as its own type only', async (t) => {
    for (const type of types) {
      const handle = issueHandle(type, issueFirstHandle('state').selector)
      t.match(handle.value, /^pk[arcs]_[A-Za-z0-9_-]{64}$/)
      for (const other of types) {
        const parsed = parseHandle(other, handle.value)
        if (other === type) t.same(parsed, handle)
        else t.equal(parsed, null)
      }
    }
  })

  t.test('no other string is the same handle', async (t) => {
    const { value, secret } = issueFirstHandle('access')
    fc.assert(
      fc.property(
        fc.nat(67),
        fc.string({ minLength: 1, maxLength: 1, unit: 'binary' }),
        (index, character) => {
          const changed = value.slice(0, index) + character + value.slice(index + character.length)
          if (changed === value) return true
          const parsed = parseHandle('access', changed)
          return parsed === null || !parsed.secret.equals(secret) || parsed.selector !== value.slice(4, 26)
        },
      ),
    )
    for (const text of [
      `${value}=`,
      `${value} `,
      `${value}\n`,
      ` ${value}`,
      value.slice(0, -1),
      '',
      'pka_',
    ]) {
      t.equal(parseHandle('access', text), null, JSON.stringify(text))
    }
  })

  t.test('the hash of one type never matches another, and a family is bound to its grant', async (t) => {
    const access = issueFirstHandle('access')
    t.notOk(sameHash(hashCredential(access.value), hashCredential(access.value.replace('pka_', 'pkr_'))))
    const first = issueFirstHandle('refresh')
    const second = issueHandle('refresh', first.selector, nextGeneration(first, randomBytes(32)))
    const elsewhere = issueHandle('refresh', issueFirstHandle('state').selector, first.secret)
    t.equal(hashFamily(first), hashFamily(second))
    t.not(first.value, second.value)
    t.not(hashFamily(first), hashFamily(elsewhere))
    t.equal(familyOf(first).length, 16)
  })

  t.test('random bytes are handed out once, and belong to whoever has them', async (t) => {
    const drawn = Array.from({ length: 2000 }, (_, i) => randomBytes(16 + (i % 17)))
    const copies = drawn.map((bytes) => Buffer.from(bytes))
    for (let i = 0; i < 1000; i++) randomBytes(32).fill(0)
    t.same(drawn, copies)
    t.equal(new Set(drawn.map((bytes) => bytes.toString('hex', 0, 16))).size, drawn.length)
    t.same(
      [1, 31, 4096].map((length) => randomBytes(length).length),
      [1, 31, 4096],
    )
    t.notOk(randomBytes(4096).equals(Buffer.alloc(4096)))
    t.throws(() => randomBytes(4097), RangeError, 'never fewer than asked for')
  })

  t.test('10,000 handles have no bit that is not random', async (t) => {
    const ones = Array<number>(384).fill(0)
    const n = 10_000
    for (let i = 0; i < n; i++) {
      const bytes = Buffer.from(issueFirstHandle('access').value.slice(4), 'base64url')
      for (let bit = 0; bit < 384; bit++) ones[bit]! += (bytes[bit >> 3]! >> (bit & 7)) & 1
    }
    // Six standard deviations: once in a million runs by chance.
    t.ok(ones.every((count) => Math.abs(count - n / 2) < 6 * Math.sqrt(n / 4)))
  })
})
