import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import type { ResolvedProvider } from '../../../../plugin/options/resolved.ts'
import {
  EXCHANGE,
  exchange,
  JSON_TYPE,
  metadata,
  mockProvider,
  problemsOf,
  REFRESH,
  refused,
  TOKENS,
} from '../../../support/provider-setup.ts'

/** An issuer of several tenants, as Entra ID is one: its metadata names no issuer, but a template of one. */
const AS = 'https://as.example'
const OURS = 'aaaaaaaa-0000-4000-8000-000000000001'
const PARTNER = 'bbbbbbbb-0000-4000-8000-000000000002'
const STRANGER = 'cccccccc-0000-4000-8000-000000000003'
const issuerOf = (tenant: string) => `${AS}/${tenant}/v2.0`

const { publicKey, privateKey } = await generateKeyPair('RS256')
const keys = [{ ...(await exportJWK(publicKey)), kid: 'rsa' }]

const idToken = (ms: number, claims: Record<string, unknown>) => {
  const now = Math.floor(ms / 1000)
  return new SignJWT({ sub: 'alice', aud: 'backend', exp: now + 300, iat: now, nonce: 'n1', ...claims })
    .setProtectedHeader({ alg: 'RS256', kid: 'rsa' })
    .sign(privateKey)
}

function mockTenants(t: Test, overrides: Partial<ResolvedProvider>, issuer = issuerOf('{tenantid}')) {
  const mock = mockProvider(t, { issuer: issuerOf('common'), ...overrides })
  mock.as
    .intercept({ path: '/common/v2.0/.well-known/openid-configuration' })
    .reply(200, { ...metadata, issuer, revocation_endpoint: undefined }, JSON_TYPE)
  return mock
}

async function readyTenants(t: Test, tenants: string[]) {
  const mock = mockTenants(t, { tenants })
  await mock.provider.start()
  mock.as.intercept({ path: '/jwks' }).reply(200, { keys }, JSON_TYPE)
  return {
    ...mock,
    async login(claims: Record<string, unknown>) {
      const id_token = await idToken(mock.clock.ms, claims)
      mock.post('/token', EXCHANGE).reply(200, { ...TOKENS, id_token }, JSON_TYPE)
      return mock.provider.redeemCode({ ...exchange, nonce: 'n1' })
    },
    async refresh(claims: Record<string, unknown>) {
      const id_token = await idToken(mock.clock.ms, claims)
      mock.post('/token', REFRESH).reply(200, { ...TOKENS, id_token }, JSON_TYPE)
      return mock.provider.refresh({ refreshToken: 'r1', subject: 'alice' })
    },
  }
}

t.test('a listed tenant is in iss where the template has {tenantid}, and in tid (F-14)', async (t) => {
  const { login } = await readyTenants(t, [OURS.toUpperCase(), PARTNER])
  t.match(await login({ iss: issuerOf(OURS), tid: OURS }), { claims: { sub: 'alice', tid: OURS } })
  t.match(await login({ iss: issuerOf(PARTNER), tid: PARTNER }), { claims: { tid: PARTNER } })
  // Entra ID has tid with scope profile only; iss is signed as well.
  t.match(await login({ iss: issuerOf(OURS) }), { claims: { sub: 'alice' } })

  for (const [claims, cause] of [
    [{ iss: issuerOf(STRANGER), tid: STRANGER }, /^iss: of a tenant that is not in provider\.tenants/],
    [{ iss: issuerOf(STRANGER), tid: OURS }, /^iss: of a tenant/],
    [{ iss: issuerOf(OURS), tid: STRANGER }, /^tid: another tenant than that of iss/],
    [{ iss: issuerOf(OURS), tid: PARTNER }, /^tid: /],
    [{ iss: issuerOf('{tenantid}'), tid: OURS }, /^iss: another issuer/],
    [{ iss: issuerOf('common'), tid: OURS }, /^iss: another issuer/],
    [{ iss: `${issuerOf(OURS)}/`, tid: OURS }, /^iss: another issuer/],
    [{ iss: `https://evil.example/${OURS}/v2.0`, tid: OURS }, /^iss: another issuer/],
    [{ tid: OURS }, /^iss: another issuer/],
  ] as const) {
    const error = await refused(t, login(claims), { reason: 'provider_id_token_invalid' })
    t.match(error, { cause: { message: cause } }, JSON.stringify(claims))
  }
})

t.test('* stands for every tenant, and for nothing that is none (F-14)', async (t) => {
  const { login } = await readyTenants(t, ['*'])
  t.match(await login({ iss: issuerOf(STRANGER), tid: STRANGER }), { claims: { tid: STRANGER } })
  for (const iss of [issuerOf('*'), issuerOf(`${OURS}/${OURS}`), issuerOf(''), `${AS}/v2.0`]) {
    await refused(t, login({ iss }), { reason: 'provider_id_token_invalid' }, iss)
  }
})

t.test('at a refresh iss is compared after the replacement (OIDC Core §12.2, F-14, D-14)', async (t) => {
  const { provider, refresh } = await readyTenants(t, [OURS])
  const { idToken } = await refresh({ iss: issuerOf(OURS), tid: OURS, name: 'Alice' })
  t.match(await provider.refreshedClaims(idToken!, 'at'), { name: 'Alice' })
  for (const iss of [issuerOf(STRANGER), issuerOf('{tenantid}'), 'https://evil.example']) {
    const error = await refused(t, refresh({ iss }), { reason: 'provider_subject_mismatch' }, iss)
    t.match(error, { cause: { message: /^iss: / } })
  }
})

t.test(
  'an authorization response may name the issuer of a listed tenant (RFC 9207 §2.4, B-05)',
  async (t) => {
    const { provider } = mockTenants(t, { tenants: [OURS] })
    await provider.start()
    t.equal(provider.isIssuer(issuerOf(OURS)), true)
    t.equal(provider.isIssuer(issuerOf(STRANGER)), false)
    t.equal(provider.isIssuer(issuerOf('common')), false)
    t.equal(provider.issuer, issuerOf('common'))
  },
)

t.test(
  'a template without tenants stops the start, and so do tenants without one (F-01, F-14)',
  async (t) => {
    t.match(await problemsOf(mockTenants(t, {}).provider.start()), [
      /^provider\.tenants: is required: .*users of several tenants/,
    ])
    const single = mockTenants(t, { tenants: [OURS] }, issuerOf('common'))
    t.match(await problemsOf(single.provider.start()), [
      /^provider\.issuer: the metadata names another issuer/,
    ])
    const foreign = mockTenants(t, { tenants: [OURS] }, 'https://evil.example/{tenantid}/v2.0')
    t.match(await problemsOf(foreign.provider.start()), [
      /^provider\.issuer: the metadata names another issuer/,
    ])
  },
)
