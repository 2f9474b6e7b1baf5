/** A grant in each of its states, as the transitions make them. */
import type { AuthorizingGrant, RefreshTokenRecord } from '../../plugin/grant/grant.ts'
import { activate, authorize, end, lease, redeem } from '../../plugin/grant/transitions.ts'

export const HASH = 'h'.repeat(43)
export const lifetimes = {
  transactionSeconds: 600,
  codeSeconds: 60,
  accessTokenSeconds: 600,
  duplicateSeconds: 15,
  refreshGraceSeconds: 15,
  refreshIdleSeconds: 2_592_000,
  sessionSeconds: 7_776_000,
  tombstoneSeconds: 3600,
}

export const authorizing: AuthorizingGrant = {
  v: 1,
  id: 'AAAAAAAAAAAAAAAAAAAAAA',
  provider: 'https://as.example',
  clientId: 'app',
  createdAt: 1,
  status: 'authorizing',
  redirectUri: 'https://app.example.com/callback',
  codeChallenge: HASH,
  scope: ['orders.read'],
  providerScope: [],
  maxAgeSeconds: 60,
  acrValues: 'mfa',
  resources: ['https://api.example.com/mcp'],
  state: 'app-state',
  stateHash: HASH,
  browserHash: HASH,
  serverSecret: 'name-of-a-secret',
}

export const accessToken = (name: string, expiresAt = 600_000) => ({
  hash: name.padEnd(43, '_'),
  key: `key-of-${name}`,
  scope: ['orders.read'],
  expiresAt,
})
export const refreshToken = (name: string): RefreshTokenRecord => ({
  familyHash: HASH,
  hash: name.padEnd(43, '_'),
  key: `key-of-${name}`,
  idleExpiresAt: 2_592_000_000,
})

export const authorized = authorize(authorizing, {
  codeHash: HASH,
  codeExpiresAt: 60_000,
  key: 'key-of-code',
  sealed: 'sealed-exchange',
})
export const redeeming = redeem(authorized)
export const active = activate(redeeming, {
  activatedAt: 2,
  subject: 'alice',
  claims: { email: 'a@example.com' },
  scope: ['orders.read'],
  expiresAt: 7_776_000_000,
  sealed: 'sealed-provider',
  providerExpiresAt: 3_600_000,
  providerLifetimeMs: 3_600_000,
  codeForgottenAt: 3_600_000,
  accessToken: accessToken('a1'),
  refreshToken: refreshToken('r1'),
})
export const leased = lease(
  {
    ...active,
    refreshToken: {
      ...active.refreshToken!,
      predecessor: { hash: HASH, graceEndsAt: 1, sealed: 's' },
    },
  },
  'owner',
  15_000,
)
export const ended = end(active, 'revoked', 3)
