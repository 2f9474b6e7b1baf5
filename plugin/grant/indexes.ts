import { hash } from 'node:crypto'
import { unregisteredKind } from '../oauth/client.ts'

/** Names of the store's indexes: a type and a hash, so that no value of a request or a claim is part of a key (G-14). */

/** Eight hexadecimal digits that join the lines of one grant in the log and open nothing (J-01). */
export function correlationId(grantId: string): string {
  return hash('sha256', `correlation\0${grantId}`, 'hex').slice(0, 8)
}

/**
 * The grants whose correlation ids begin alike. There are 4,096 such indexes for all sessions together: one for each
 * session would cost a key that hardly anybody ever asks for.
 */
export function correlationIndex(correlation: string): string {
  return `correlation:${correlation.slice(0, 3)}`
}

/** All that a grant is listed under once its subject is known. */
export function indexesOf(grant: IndexedGrant): readonly string[] {
  const { provider, subject, sid, id, clientId } = grant
  return [
    subjectIndex(provider, subject),
    ...(sid === undefined ? [] : [providerSessionIndex(provider, sid)]),
    correlationIndex(correlationId(id)),
    ...(unregisteredKind(clientId) === 'registration' ? [clientIndex(clientId)] : []),
  ]
}

/** What a grant is found by: any active one is one. */
export interface IndexedGrant {
  readonly id: string
  readonly clientId: string
  /** Issuer. */
  readonly provider: string
  readonly subject: string
  readonly sid?: string | undefined
}

/** The grants of an app that has registered itself: they end with its registration. */
export function clientIndex(clientId: string): string {
  return `client:${hash('sha256', clientId, 'base64url')}`
}

/** The grants that came out of one session at a provider. */
export function providerSessionIndex(provider: string, sid: string): string {
  return `sid:${hash('sha256', JSON.stringify([provider, sid]), 'base64url')}`
}

/** When the grants of another index were last logged out by their provider. */
export function logoutIndex(index: string): string {
  return `logout:${index}`
}

/** The grants of a subject at a provider. */
export function subjectIndex(provider: string, subject: string): string {
  return `subject:${hash('sha256', JSON.stringify([provider, subject]), 'base64url')}`
}

/** The grants whose access token is this provider token (`tokens: relay`), by its hash. */
export function relayedTokenIndex(tokenHash: string): string {
  return `token:${tokenHash}`
}
