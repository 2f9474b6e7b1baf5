import { hash, timingSafeEqual } from 'node:crypto'
import { randomBytes } from './random.ts'

/** The four credentials that we issue, by the letter in their prefix (requirements C-24). */
export type HandleType = 'state' | 'code' | 'access' | 'refresh'
const PREFIXES = { state: 'pks_', code: 'pkc_', access: 'pka_', refresh: 'pkr_' } as const
const HANDLE = /^pk[arcs]_[A-Za-z0-9_-]{64}$/

const SELECTOR_BYTES = 16
const SECRET_BYTES = 32
/** A refresh secret is a family part, constant for the grant, and a generation part (D-04). */
const FAMILY_BYTES = 16

/** A handle taken apart. `selector` names the grant's record; `secret` never leaves the process unhashed. */
export interface Handle {
  readonly type: HandleType
  /** The whole credential, as sent. */
  readonly value: string
  /** 22 base64url characters. */
  readonly selector: string
  /** 32 bytes. */
  readonly secret: Buffer
}

/** A new grant's name: 128 random bits as 22 base64url characters. */
export function newSelector(): string {
  return randomBytes(SELECTOR_BYTES).toString('base64url')
}

/** Issues a handle with 256 random bits for the grant `selector` (RFC 6749 §10.10, G-01). */
export function issueHandle(type: HandleType, selector: string): Handle {
  return formatHandle(type, selector, randomBytes(SECRET_BYTES))
}

/** Issues a refresh handle: the next generation of `family`, or the first of a new one. */
export function issueRefreshHandle(selector: string, family: Buffer = randomBytes(FAMILY_BYTES)): Handle {
  return formatHandle('refresh', selector, Buffer.concat([family, randomBytes(SECRET_BYTES - FAMILY_BYTES)]))
}

/**
 * Takes a credential apart, or null if it is not a well-formed handle of this type.
 * 64 base64url characters are exactly 48 bytes, so no two spellings decode to the same handle (P-8).
 */
export function parseHandle(type: HandleType, value: string): Handle | null {
  if (value.length !== 68 || !value.startsWith(PREFIXES[type]) || !HANDLE.test(value)) return null
  const bytes = Buffer.from(value.slice(4), 'base64url')
  return {
    type,
    value,
    selector: bytes.toString('base64url', 0, SELECTOR_BYTES),
    secret: bytes.subarray(SELECTOR_BYTES),
  }
}

/** The constant part of a refresh handle: 16 bytes. */
export function familyOf(refresh: Handle): Buffer {
  return refresh.secret.subarray(0, FAMILY_BYTES)
}

/**
 * What is stored instead of a credential: SHA-256 of the whole of it as 43 base64url characters. The type
 * prefix is part of the input, so one type never matches another (G-02). No key is needed: the input has 256
 * random bits.
 */
export function hashCredential(value: string): string {
  return hash('sha256', value, 'base64url')
}

/** The stored hash of a refresh handle's family part. */
export function hashFamily(refresh: Handle): string {
  return hash(
    'sha256',
    `pkr_family\0${refresh.selector}\0${familyOf(refresh).toString('base64url')}`,
    'base64url',
  )
}

/** Compares two hashes of 43 characters in constant time. */
export function sameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'))
}

function formatHandle(type: HandleType, selector: string, secret: Buffer): Handle {
  const bytes = Buffer.concat([Buffer.from(selector, 'base64url'), secret])
  return { type, value: PREFIXES[type] + bytes.toString('base64url'), selector, secret }
}
