import { hash } from 'node:crypto'

/** Names of the store's indexes: a type and a hash, so that no value of a request or a claim is part of a key (G-14). */

/** The grants of a subject at a provider. */
export function subjectIndex(provider: string, subject: string): string {
  return `subject:${hash('sha256', JSON.stringify([provider, subject]), 'base64url')}`
}

/** The grants whose access token is this provider token (`tokens: relay`), by its hash. */
export function relayedTokenIndex(tokenHash: string): string {
  return `token:${tokenHash}`
}
