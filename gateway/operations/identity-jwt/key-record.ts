import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, type KeyObject } from 'node:crypto'
import type { Sealing } from '../../../plugin/api/internal.ts'

/** Longest life of a token. */
export const TOKEN_MS = 60_000
/** How long a key signs. */
export const SIGNS_MS = 30 * 86_400_000
/**
 * How long a key is published before it signs: longer than verifiers keep a key set (jose: 10 minutes), so that none
 * of them meets a key that it does not know.
 */
export const PUBLISHED_AHEAD_MS = 15 * 60_000
/** After its last token, for clocks that differ. */
const KEPT_MS = TOKEN_MS + 5 * 60_000
/** Of the record. Every rotation begins it anew. */
export const RECORD_TTL_MS = 3 * SIGNS_MS

/** Where the keys of all instances are. */
export const RECORD_KEY = 'identity-keys'

/** As stored: of the key itself nothing that can be read. */
export interface KeyEntry {
  /** RFC 7638 thumbprint. */
  readonly kid: string
  /** Milliseconds, by the store's clock. */
  readonly signsFrom: number
  /** The private key, PKCS#8, under a server secret. */
  readonly sealed: string
}

export interface KeyRecord {
  readonly v: 1
  readonly keys: readonly KeyEntry[]
}

/** A public key as a verifier reads it (RFC 7517 §4, RFC 7518 §6.2.1). */
export interface PublicJwk {
  readonly kty: string
  readonly crv: string
  readonly x: string
  readonly y: string
  readonly kid: string
  readonly alg: 'ES256'
  readonly use: 'sig'
}

/** An entry whose seal has been opened. */
export interface OpenedKey {
  readonly entry: KeyEntry
  readonly privateKey: KeyObject
  readonly publicJwk: PublicJwk
}

/** @throws Error for what another version has written: it is left as it is. */
export function decodeRecord(value: string): KeyRecord {
  const record = parsed(value)
  if (record?.v !== 1 || !Array.isArray(record.keys))
    throw new Error('the store holds identity keys of another version of the gateway: run one version alone')
  return record as KeyRecord
}

/** The error of JSON.parse quotes what it read. */
function parsed(value: string): Partial<KeyRecord> | null {
  try {
    return JSON.parse(value)
  } catch {
    return null
  }
}

/** Makes a key that signs from then on, sealed with the first of the secrets. */
export function newKey(sealing: Sealing, signsFrom: number): KeyEntry {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { kid } = publicJwk(privateKey)
  const plain = privateKey.export({ type: 'pkcs8', format: 'der' })
  const sealed = sealing.sealFor(NO_HANDLE, plain, contextOf(kid, signsFrom))
  plain.fill(0)
  return { kid, signsFrom, sealed }
}

/**
 * Opens the seal, which proves that an instance with our secrets has made this entry: whoever can write to the store
 * cannot have a key of his own published.
 *
 * @returns null if it is sealed with no secret of ours, or has been changed.
 */
export function openKey(sealing: Sealing, entry: KeyEntry): OpenedKey | null {
  const plain = sealing.openFor(NO_HANDLE, entry.sealed, contextOf(entry.kid, entry.signsFrom))
  if (plain === null) return null
  const privateKey = createPrivateKey({ key: plain, type: 'pkcs8', format: 'der' })
  plain.fill(0)
  return { entry, privateKey, publicJwk: publicJwk(privateKey) }
}

/** The key that signs at a time: the newest whose time has come. */
export function signingKey(keys: readonly OpenedKey[], now: number): OpenedKey | undefined {
  return keys
    .filter(({ entry }) => entry.signsFrom <= now)
    .reduce<OpenedKey | undefined>(
      (best, key) => (best === undefined || key.entry.signsFrom >= best.entry.signsFrom ? key : best),
      undefined,
    )
}

/**
 * What is to be written now, or null: without a key that signs one that signs at once; before its time is over, or
 * where it is sealed with another secret than the first, one that is published ahead. Keys whose last token has
 * expired leave.
 *
 * @param opened of the record's keys those that we can open.
 */
export function maintained(
  record: KeyRecord | null,
  opened: readonly OpenedKey[],
  sealing: Sealing,
  now: number,
): KeyRecord | null {
  const keys = record?.keys ?? []
  const current = signingKey(opened, now)
  if (current === undefined) return { v: 1, keys: [...keys, newKey(sealing, now)] }
  const { signsFrom, sealed } = current.entry
  const isDue = now >= signsFrom + SIGNS_MS - PUBLISHED_AHEAD_MS || !sealed.startsWith(`${sealing.current}.`)
  const hasNext = opened.some(({ entry }) => entry.signsFrom > now)
  if (isDue && !hasNext) return withNextKey(record, sealing, now)
  const kept = keys.filter(
    ({ kid, signsFrom: from }) => kid === current.entry.kid || from > signsFrom || now < signsFrom + KEPT_MS,
  )
  return kept.length === keys.length ? null : { v: 1, keys: kept }
}

/** Another key, which signs when everybody knows it. */
export function withNextKey(record: KeyRecord | null, sealing: Sealing, now: number): KeyRecord {
  return { v: 1, keys: [...(record?.keys ?? []), newKey(sealing, now + PUBLISHED_AHEAD_MS)] }
}

/** One new key in the place of all: for a key that is known to others. */
export function withOnlyNewKey(sealing: Sealing, now: number): KeyRecord {
  return { v: 1, keys: [newKey(sealing, now)] }
}

/** No handle opens it, a server secret does. */
const NO_HANDLE = Buffer.alloc(0)

function contextOf(kid: string, signsFrom: number) {
  return { grantId: RECORD_KEY, text: `1 identity-key ${kid} ${signsFrom}` }
}

function publicJwk(privateKey: KeyObject): PublicJwk {
  const { kty = '', crv = '', x = '', y = '' } = createPublicKey(privateKey).export({ format: 'jwk' })
  // RFC 7638 §3.2: the required members in this order.
  const kid = hash('sha256', JSON.stringify({ crv, kty, x, y }), 'base64url')
  return { kty, crv, x, y, kid, alg: 'ES256', use: 'sig' }
}
