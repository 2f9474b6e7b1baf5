import { exportPKCS8, generateKeyPair, jwtVerify } from 'jose'
import t, { type Test } from 'tap'
import type { ResolvedProvider } from '../../../../plugin/options/resolved.ts'
import {
  EXCHANGE,
  exchange,
  ISSUER,
  JSON_TYPE,
  mockProvider,
  problemsOf,
  readyProvider,
  refused,
  TOKENS,
} from '../../../support/provider-setup.ts'

const first = await generateKeyPair('ES256', { extractable: true })
const second = await generateKeyPair('ES256', { extractable: true })
const p8 = await exportPKCS8(first.privateKey)
const apple = { clientAuthentication: 'apple', teamId: 'ABCDE12345', keyId: 'KEY1234567' } as const

/** A provider that collects the secrets that it is sent. */
async function collecting(t: Test, privateKey: ResolvedProvider['privateKey']) {
  const { clientSecret, ...overrides } = { clientSecret: undefined, ...apple, privateKey: privateKey! }
  const mock = await readyProvider(t, overrides)
  const secrets: string[] = []
  return {
    ...mock,
    secrets,
    async redeem() {
      const body = (text: string) => {
        const { client_secret, ...rest } = Object.fromEntries(new URLSearchParams(text))
        secrets.push(client_secret!)
        const { client_secret: _, ...expected } = EXCHANGE
        return t.same(rest, expected)
      }
      mock.as
        .intercept({
          path: '/token',
          method: 'POST',
          body,
          headers: (all) => all.authorization === undefined,
        })
        .reply(200, TOKENS, JSON_TYPE)
      await mock.provider.redeemCode(exchange)
      return secrets.at(-1)!
    },
  }
}

t.test("the secret is a JWT of the team for Apple's issuer, sent in the form (M-02)", async (t) => {
  const { redeem, clock } = await collecting(t, p8)
  const { payload, protectedHeader } = await jwtVerify(await redeem(), first.publicKey)
  const iat = Math.floor(clock.ms / 1000)
  t.same(protectedHeader, { alg: 'ES256', kid: 'KEY1234567' })
  t.same(payload, { iss: 'ABCDE12345', sub: 'backend', aud: ISSUER, iat, exp: iat + 3600 })
})

t.test('it is kept, and made anew before it ends (M-02)', async (t) => {
  const { redeem, clock } = await collecting(t, p8)
  const one = await redeem()
  clock.ms += 49 * 60_000
  t.equal(await redeem(), one)
  clock.ms += 60_000
  const two = await redeem()
  t.not(two, one)
  clock.ms += 2 * 3_600_000
  const three = await redeem()
  t.not(three, two)
  const currentDate = new Date(clock.ms)
  await t.resolves(jwtVerify(three, first.publicKey, { currentDate }))
  await t.rejects(jwtVerify(two, first.publicKey, { currentDate }))
})

t.test('a key file that was replaced is used at once (M-02, F-06)', async (t) => {
  const files = [p8, p8, await exportPKCS8(second.privateKey)]
  const { redeem } = await collecting(t, () => files.shift()!)
  const one = await redeem()
  t.equal(await redeem(), one)
  await t.resolves(jwtVerify(await redeem(), second.publicKey))
})

t.test('a key that is none stops the start, or is an outage where a function gives it (M-02)', async (t) => {
  const wrong = await exportPKCS8((await generateKeyPair('ES384', { extractable: true })).privateKey)
  for (const privateKey of ['s3cret', wrong]) {
    const problems = await problemsOf(mockProvider(t, { ...apple, privateKey }).provider.start())
    t.match(problems, [/^provider\.privateKey: is not Apple's: the whole \.p8 file/])
    t.notMatch(problems.join(), 's3cret')
  }
  const { provider } = await readyProvider(t, { ...apple, privateKey: () => wrong })
  await refused(t, provider.redeemCode(exchange), { reason: 'provider_unavailable', unsent: true })
})
