import t from 'tap'
import {
  codeChallengeS256,
  isCodeChallenge,
  isCodeVerifier,
  verifyCodeVerifier,
} from '../../../plugin/oauth/pkce.ts'
import { CHALLENGE, VERIFIER } from '../../support/oauth-fixtures.ts'

t.test('pkce', async (t) => {
  t.test('the vector of RFC 7636 Appendix B', async (t) => {
    t.equal(codeChallengeS256(VERIFIER), CHALLENGE)
    t.ok(verifyCodeVerifier(VERIFIER, CHALLENGE))
  })

  t.test('another verifier proves nothing (RFC 7636 §4.6, C-12)', async (t) => {
    t.notOk(verifyCodeVerifier(`${VERIFIER.slice(0, -1)}l`, CHALLENGE))
  })

  t.test('the challenge is not its own verifier: there is no plain (RFC 9700 §2.1.1, C-10)', async (t) => {
    t.notOk(verifyCodeVerifier(CHALLENGE, CHALLENGE))
  })

  t.test('a challenge with the same bytes but another spelling never matches (P-8, C-09)', async (t) => {
    const twin = `${CHALLENGE.slice(0, -1)}N`
    t.same(Buffer.from(twin, 'base64url'), Buffer.from(CHALLENGE, 'base64url'))
    t.notOk(isCodeChallenge(twin))
    t.notOk(verifyCodeVerifier(VERIFIER, twin))
  })

  t.test('strings of any length give false and not an exception (P-8)', async (t) => {
    t.notOk(verifyCodeVerifier('', CHALLENGE))
    t.notOk(verifyCodeVerifier(VERIFIER, ''))
    t.notOk(verifyCodeVerifier(VERIFIER, `${CHALLENGE}A`))
  })

  const verifiers: [string, boolean][] = [
    ['a'.repeat(42), false],
    ['a'.repeat(43), true],
    ['a'.repeat(128), true],
    ['a'.repeat(129), false],
    [`${'a'.repeat(42)}~`, true],
    [`${'a'.repeat(42)}+`, false],
    [`${'a'.repeat(42)}=`, false],
    [`${'a'.repeat(42)}š`, false],
    [`${'a'.repeat(43)}\n`, false],
  ]
  for (const [verifier, valid] of verifiers) {
    const shown = `${verifier.length} characters ending in ${JSON.stringify(verifier.at(-1))}`
    t.test(`a verifier of ${shown}: ${valid} (RFC 7636 §4.1, C-08)`, async (t) => {
      t.equal(isCodeVerifier(verifier), valid)
    })
  }

  const challenges = [42, 44].map((length) => CHALLENGE.padEnd(length, 'A').slice(0, length))
  for (const text of [
    ...challenges,
    `${CHALLENGE.slice(0, -1)}=`,
    `+${CHALLENGE.slice(1)}`,
    `~${CHALLENGE.slice(1)}`,
  ]) {
    t.test(`${text} is no S256 challenge (RFC 7636 §4.2, A-08)`, async (t) => {
      t.notOk(isCodeChallenge(text))
    })
  }
})
