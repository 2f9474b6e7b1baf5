/** A registered client, and what the pure protocol functions refuse. */

import type { AgentRules, RegisteredClient } from '../../plugin/oauth/client.ts'
import { OAuthError, type Reason } from '../../plugin/oauth/errors.ts'

// RFC 7636 Appendix B
export const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
export const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
export const ISSUER = 'https://api.example.com'

export function registered(overrides: Partial<RegisteredClient> = {}): RegisteredClient {
  return {
    clientId: 'com.example.app',
    name: 'Example',
    enabled: true,
    authentication: 'none',
    redirectUris: ['com.example.app:/callback', 'http://127.0.0.1/cb', 'https://a.ex/cb'],
    scopes: ['orders.read', 'orders.write'],
    providerScopes: ['orders.read'],
    claims: [],
    passThrough: [],
    allowedOrigins: [],
    providers: [],
    requirePar: false,
    dpop: 'off',
    repeatableExchange: false,
    ...overrides,
  }
}

export const registry = (...clients: RegisteredClient[]) =>
  new Map(clients.map((client) => [client.clientId, client]))

/** The rules for apps that nobody registered, all off. */
export const noAgents: AgentRules = {
  metadataDocuments: false,
  registration: false,
  allowedHosts: [],
  allowedOrigins: [],
  scopes: [],
  dangerouslyAllowPrivateNetwork: false,
}

/** The OAuthError that `act` throws; anything else fails the test. */
export function refusal(act: () => unknown): OAuthError {
  try {
    act()
  } catch (error) {
    if (error instanceof OAuthError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

export const reasonOf = (act: () => unknown): Reason => refusal(act).reason
